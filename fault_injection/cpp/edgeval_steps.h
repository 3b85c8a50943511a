// Steps of a decision: at which changes of a neuron's sum the network decides otherwise.
#pragma once

#include "edgeval_neuron.h"

namespace edgeval {

struct Decisions {  // mirrored in fault_injection/kernel_library.py
    int32_t classes;
    const int32_t* output;            // [samples][classes], golden
    const int32_t* best;              // [samples], golden decision
    const int32_t* label;             // [samples], -1: unknown
    const int16_t *rising, *sinking;  // positive and negative parts of w_c - w_best, [best][padded_inputs /
                                      // 2][padded][2]; null: too large to keep, every word is evaluated
};

enum Counter { from_right, from_wrong, to_right, counters };

struct Step {
    int32_t sample;
    int8_t sign;
    int64_t distance;  // smallest |x| behind the step
};

// Steps of one neuron, by counter and direction of x (0 up, 1 down).
struct Steps {
    std::vector<Step> lists[counters][2];

    void clear() {
        for (auto& counter : lists)
            for (auto& list : counter) list.clear();
    }
};

struct Sample {
    int64_t number;
    int32_t best, label;
    bool right() const { return label < 0 || best == label; }
};

inline void add_step(Steps& steps, const Sample& sample, int from, int to, int direction, int64_t distance) {
    const int changed = int(to != sample.best) - int(from != sample.best);
    if (changed != 0)
        steps.lists[sample.right() ? from_right : from_wrong][direction].push_back(
            {int32_t(sample.number), int8_t(changed), distance});
    if (sample.right()) return;
    const int fixed = int(to == sample.label) - int(from == sample.label);
    if (fixed != 0) steps.lists[to_right][direction].push_back({int32_t(sample.number), int8_t(fixed), distance});
}

}  // namespace edgeval
