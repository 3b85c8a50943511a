// Decisions changed by every fault of a dense layer, counted exactly without judging faults one by one.
//
// For a neuron, a sample and a direction, the network's decision is a step function of the neuron's word. Its steps are
// found by bisection between the golden word and the farthest word a fault can reach; a bound on what can move in
// between (exact in the layer behind the neuron, intervals in later ones) ends most searches at once. Each step becomes
// a threshold on |x|, and x = +-2**b * input, so all faults are counted by comparing the bytes of the inputs with it.
// Source: docs/exhaustive-campaigns.md.
#include "edgeval_counting.h"
#include "edgeval_search.h"

namespace {

using namespace edgeval;

int64_t floor_division(int64_t a, int64_t b) {  // b > 0
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

struct Range {
    int64_t low, high;
};

// Steps d of a word for which class r has the largest output, output[c] + row[c] * d; low > high where there are none.
Range winning(const int32_t* output, const int16_t* row, int classes, int r) {
    Range range{-(int64_t(1) << 40), int64_t(1) << 40};
    for (int c = 0; c < classes; c++) {
        const int64_t slope = int64_t(row[r]) - row[c], lead = int64_t(output[r]) - output[c] - int(c < r);
        // r is ahead of c where lead + slope * d >= 0
        if (slope > 0)
            range.low = std::max(range.low, -floor_division(lead, slope));
        else if (slope < 0)
            range.high = std::min(range.high, floor_division(lead, -slope));
        else if (lead < 0 && c != r)
            return {1, 0};
    }
    return range;
}

// Steps of one neuron, sample by sample.
class Decider {
  public:
    Decider(const Inputs& inputs, const Neuron& neuron, const Activation& own, const Layer* layers, int count,
            const Decisions& decisions)
        : inputs_(inputs),
          neuron_(neuron),
          own_(own),
          layers_(layers),
          count_(count),
          decisions_(decisions),
          search_(layers, count, decisions) {
        if (count > 1) search_.prepare(neuron.channel);
        for (int b = 0; b < neuron.bits; b++) weight_step_ = std::max(weight_step_, int64_t(1) << neuron.log2_steps[b]);
        for (int j = 1; neuron.steps != nullptr && j < neuron.values; j++)
            if (neuron.steps[j] != INT_MIN && neuron.steps[j] != INT_MAX) {
                lowest_sum_ = std::min<int64_t>(lowest_sum_, int64_t(neuron.steps[j]) - 1);
                highest_sum_ = std::max<int64_t>(highest_sum_, neuron.steps[j]);
            }
    }

    // Steps of one sample; where hidden layers follow, faults of the bias are counted at once.
    void run(int64_t number, Steps& steps, int32_t* bias_counts) {
        const Sample sample{number, decisions_.best[number], decisions_.label[number]};
        if (count_ == 0) return output_neuron(sample, steps);
        const int32_t sum = neuron_.sums[number], word = apply_one(own_, neuron_.channel, sum);
        if (count_ == 1) return last_hidden(sample, sum, word, steps);
        const int64_t reach = weight_step_ * std::max(inputs_.largest[2 * number], inputs_.largest[2 * number + 1]);
        search_.start(sample);
        int32_t reached[2];
        for (int direction = 0; direction < 2; direction++) {
            found_[direction].clear();
            reached[direction] = word_at(sum, direction ? -reach : reach) - word;
            if (reached[direction] == 0) continue;
            search_.walk(reached[direction], [&](int32_t step, int from, int to) {
                add_step(steps, sample, from, to, direction, distance(sum, word + step, direction));
                found_[direction].push_back({std::abs(step), to});
            });
        }
        count_bias_of(sample, sum, word, reached, bias_counts);
    }

  private:
    int32_t word_at(int32_t sum, int64_t moved) const {
        if (lowest_sum_ > highest_sum_) return apply_one(own_, neuron_.channel, sum);  // the same word everywhere
        // Beyond the outermost steps nothing changes; this keeps the sum inside 32 bits and inside a table.
        const int64_t at = std::clamp<int64_t>(int64_t(sum) + moved, lowest_sum_, highest_sum_);
        return apply_one(own_, neuron_.channel, int32_t(at));
    }

    // A bias has few bits, and some of them move the sum far beyond what weights can: each is looked up where the walk
    // went, and asked for beyond.
    void count_bias_of(const Sample& sample, int32_t sum, int32_t word, const int32_t (&reached)[2], int32_t* counts) {
        int32_t last_step = 0;
        int last_best = sample.best;
        for (int b = 0; b < neuron_.bias_bits; b++) {
            if (neuron_.bias_signs[b] == 0) continue;
            const int direction = neuron_.bias_signs[b] < 0;
            const int64_t moved = int64_t(1) << neuron_.bias_log2_steps[b];
            const int32_t step = word_at(sum, direction ? -moved : moved) - word;
            int best = sample.best;
            if (std::abs(step) <= std::abs(reached[direction])) {
                for (const auto& [from, to] : found_[direction])
                    if (from <= std::abs(step)) best = to;
            } else if (step == last_step) {
                best = last_best;
            } else {
                best = search_.best_at(step);
                last_step = step;
                last_best = best;
            }
            if (best == sample.best) continue;
            counts[(sample.right() ? from_right : from_wrong) * neuron_.bias_bits + b]++;
            if (!sample.right() && best == sample.label) counts[to_right * neuron_.bias_bits + b]++;
        }
    }

    int64_t distance(int32_t sum, int32_t word, int direction) const {
        const int32_t j = word - neuron_.low;
        return direction == 0 ? int64_t(neuron_.steps[j]) - sum : int64_t(sum) + 1 - neuron_.steps[j + 1];
    }

    void output_neuron(const Sample& sample, Steps& steps) const {
        const int own = neuron_.channel;
        const int32_t* output = decisions_.output + sample.number * decisions_.classes;
        if (sample.best != own) {
            const int64_t lead = int64_t(output[sample.best]) - output[own];
            return add_step(steps, sample, sample.best, own, 0, lead + int(own > sample.best));
        }
        int second = own == 0 ? 1 : 0;
        for (int c = second + 1; c < decisions_.classes; c++)
            if (c != own && output[c] > output[second]) second = c;
        add_step(steps, sample, own, second, 1, int64_t(output[own]) - output[second] + int(second > own));
    }

    void last_hidden(const Sample& sample, int32_t sum, int32_t word, Steps& steps) const {
        const Layer& last = layers_[0];
        const int32_t* output = last.golden_sums + sample.number * last.padded;
        const int16_t* row = last.rows + int64_t(neuron_.channel) * last.padded;
        const Range kept = winning(output, row, decisions_.classes, sample.best);
        const Counter leaving = sample.right() ? from_right : from_wrong;
        push(steps.lists[leaving], sample, sum, word, kept.high + 1, 1);
        push(steps.lists[leaving], sample, sum, word, kept.low - 1, 1);
        if (sample.right()) return;
        const Range fixed = winning(output, row, decisions_.classes, sample.label);
        if (fixed.low > fixed.high) return;
        if (fixed.low > 0) {  // the golden word is never inside: the label would have won
            push(steps.lists[to_right], sample, sum, word, fixed.low, 1);
            push(steps.lists[to_right], sample, sum, word, fixed.high + 1, -1);
        } else {
            push(steps.lists[to_right], sample, sum, word, fixed.high, 1);
            push(steps.lists[to_right], sample, sum, word, fixed.low - 1, -1);
        }
    }

    void push(std::vector<Step> (&lists)[2], const Sample& sample, int32_t sum, int32_t word, int64_t step,
              int sign) const {
        const int direction = step < 0;
        const int64_t target = word + step - neuron_.low;  // no fault makes a word outside its range
        if (target < 0 || target >= neuron_.values) return;
        const int32_t edge = neuron_.steps[direction ? target + 1 : target];
        if (edge == INT_MAX || edge == INT_MIN) return;
        lists[direction].push_back(
            {int32_t(sample.number), int8_t(sign), distance(sum, int32_t(word + step), direction)});
    }

    const Inputs& inputs_;
    const Neuron& neuron_;
    const Activation& own_;
    const Layer* layers_;
    int count_;
    const Decisions& decisions_;
    Search search_;
    int64_t weight_step_ = 0;
    std::vector<std::pair<int32_t, int>>
        found_[2];  // steps of the sample at hand: how far, and the decision from there
    int64_t lowest_sum_ = INT_MAX, highest_sum_ = INT_MIN;  // just below the first step, and at the last one
};

template <class Word>
void decide(const Inputs& inputs, const Neuron& neuron, const Activation& own, const Layer* layers, int count,
            const Decisions& decisions, int32_t* counts, int32_t* bias_counts) {
    constexpr int64_t block = 4096;  // samples whose steps are kept at once
    Decider decider(inputs, neuron, own, layers, count, decisions);
    Counting<Word> counting(inputs, neuron);
    Steps steps;
    for (int64_t first = 0; first < inputs.samples; first += block) {
        steps.clear();
        for (int64_t sample = first; sample < std::min(inputs.samples, first + block); sample++)
            decider.run(sample, steps, bias_counts);
        counting.add(steps);
        if (count < 2) count_bias(neuron, steps, bias_counts);
    }
    counting.finish(counts);
}

}  // namespace

extern "C" {

// Adds to counts [3][bits][inputs] and bias_counts [3][bias_bits]: decisions changed on samples that were right, on
// samples that were wrong, and those of the latter that become right.
void edgeval_decide(const Inputs* inputs, const Neuron* neuron, const Activation* own, const Layer* layers,
                    int32_t count, const Decisions* decisions, int32_t* counts, int32_t* bias_counts) {
    if (inputs->bytes == 1)
        decide<uint8_t>(*inputs, *neuron, *own, layers, count, *decisions, counts, bias_counts);
    else
        decide<uint16_t>(*inputs, *neuron, *own, layers, count, *decisions, counts, bias_counts);
}
}
