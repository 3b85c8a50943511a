// Reached values: everything downstream of a neuron depends only on which of a few words it takes, so every word that
// some fault makes it take on a sample is evaluated once, however many faults do so. Source: docs/fault-injection.md.
#include "edgeval_neuron.h"

namespace {

using namespace edgeval;

struct Visits {  // mirrored in fault_injection/kernel_library.py
    int64_t count, rows;
    int32_t *fault, *row;    // which fault makes a sample take which row
    int32_t *sample, *step;  // of each row; step: the changed word's distance from its golden one
};

template <class Word>
void collect(const Inputs& inputs, const Neuron& neuron, const Activation& own, int64_t first, int64_t last,
             Visits& visits) {
    // Without an activation there is no bound on the words, and hardly two faults lead to the same one.
    const bool shared = own.kind != Activation::none;
    std::vector<int64_t> stamp(shared ? neuron.values : 0, -1);
    std::vector<int32_t> row_of(stamp.size());
    for (int64_t sample = first; sample < last; sample++) {
        const int32_t sum = neuron.sums[sample];
        const int32_t golden = apply_one(own, neuron.channel, sum);
        visit_faults<Word>(inputs, neuron, sample, reach_of(neuron, own, sum), [&](int32_t fault, int32_t x) {
            const int32_t word = apply_one(own, neuron.channel, sum + x);
            if (word == golden) return;
            int32_t row = int32_t(visits.rows);
            if (shared && stamp[word - neuron.low] == sample) {
                row = row_of[word - neuron.low];
            } else {
                visits.sample[row] = int32_t(sample);
                visits.step[row] = word - golden;
                visits.rows++;
                if (shared) {
                    stamp[word - neuron.low] = sample;
                    row_of[word - neuron.low] = row;
                }
            }
            visits.fault[visits.count] = fault;
            visits.row[visits.count++] = row;
        });
    }
}

}  // namespace

extern "C" {

// Faults that change the neuron's word on samples [first, last), and the words it takes, each once a sample.
void edgeval_collect(const Inputs* inputs, const Neuron* neuron, const Activation* own, int64_t first, int64_t last,
                     Visits* visits) {
    visits->count = visits->rows = 0;
    if (inputs->bytes == 1)
        collect<uint8_t>(*inputs, *neuron, *own, first, last, *visits);
    else
        collect<uint16_t>(*inputs, *neuron, *own, first, last, *visits);
}

// Output words of each row, [classes][rows]. golden_output: [samples][classes].
void edgeval_outputs(const Layer* layers, int32_t count, int32_t channel, const Visits* visits, int32_t classes,
                     const int32_t* golden_output, int32_t* outputs) {
    Suffix suffix(layers, count);
    for (int64_t row = 0; row < visits->rows; row++) {
        int32_t* output = outputs + row;
        const int64_t sample = visits->sample[row];
        if (count == 0) {  // the neuron is an output itself
            for (int c = 0; c < classes; c++) output[c * visits->rows] = golden_output[sample * classes + c];
            output[channel * visits->rows] += visits->step[row];
            continue;
        }
        const int32_t* sums = suffix.output(sample, channel, visits->step[row]);
        for (int c = 0; c < classes; c++)
            output[c * visits->rows] = apply_one(layers[count - 1].activation, c, sums[c]);
    }
}

// Adds what each row means to the faults that reach it, in the order of the samples. counts: [faults][5]; row_counts:
// bit 0 changed, 1 critical, 2 right to wrong, 3 wrong to right, above them the number of words that differ.
void edgeval_add_up(const Visits* visits, const uint64_t* row_counts, const double* row_moved, const double* row_worst,
                    int64_t* counts, double* moved, double* worst) {
    for (int64_t i = 0; i < visits->count; i++) {
        const int32_t fault = visits->fault[i], row = visits->row[i];
        const uint64_t packed = row_counts[row];
        if (packed == 0) continue;  // no output word differs
        int64_t* count = counts + int64_t(fault) * 5;
        for (int field = 0; field < 4; field++) count[field] += int64_t(packed >> field & 1);
        count[4] += int64_t(packed >> 4);
        moved[fault] += row_moved[row];
        if (row_worst[row] > worst[fault]) worst[fault] = row_worst[row];
    }
}
}
