// Faults counted by comparing the inputs of a layer with the thresholds of the steps, 32 inputs an instruction.
#pragma once

#include "edgeval_steps.h"

namespace edgeval {

template <class Word>
class Counting {
  public:
    Counting(const Inputs& inputs, const Neuron& neuron)
        : inputs_(inputs),
          neuron_(neuron),
          totals_(int64_t(2) * counters * neuron.bits * inputs.stride),
          tallies_(int64_t(neuron.bits) * inputs.stride) {}

    void add(const Steps& steps) {
        for (int counter = 0; counter < counters; counter++)
            for (int direction = 0; direction < 2; direction++) {
                const auto& list = steps.lists[counter][direction];
                // x rises where a rising flip meets a positive input or a falling one a negative input
                count(list, static_cast<const Word*>(inputs_.positive), 0, total(counter, direction));
                if (inputs_.negative)
                    count(list, static_cast<const Word*>(inputs_.negative), 1, total(counter, 1 - direction));
            }
    }

    void finish(int32_t* counts) const {  // [counters][bits][inputs]
        for (int counter = 0; counter < counters; counter++)
            for (int b = 0; b < neuron_.bits; b++)
                for (int i = 0; i < inputs_.inputs; i++) {
                    const uint64_t falling = neuron_.falling[b * (inputs_.stride / 64) + i / 64] >> (i % 64) & 1;
                    counts[(int64_t(counter) * neuron_.bits + b) * inputs_.inputs + i] +=
                        totals_[offset(counter, int(falling)) + int64_t(b) * inputs_.stride + i];
                }
    }

  private:
    int64_t offset(int counter, int falling) const {
        return (int64_t(counter) * 2 + falling) * neuron_.bits * inputs_.stride;
    }
    int32_t* total(int counter, int falling) { return totals_.data() + offset(counter, falling); }

    void count(const std::vector<Step>& list, const Word* words, int part, int32_t* totals) {
        constexpr size_t chunk = 127;  // what a tally of 8 bits can hold
        const int stride = inputs_.stride;
        for (size_t start = 0; start < list.size(); start += chunk) {
            std::fill(tallies_.begin(), tallies_.end(), int8_t(0));
            const size_t end = std::min(list.size(), start + chunk);
            for (int b = 0; b < neuron_.bits; b++) {
                int8_t* __restrict tally = tallies_.data() + int64_t(b) * stride;
                for (size_t s = start; s < end; s++) {
                    const int64_t least = smallest_input(list[s].distance, neuron_.log2_steps[b]);
                    if (least > inputs_.largest[2 * int64_t(list[s].sample) + part]) continue;
                    const Word* __restrict row = words + int64_t(list[s].sample) * stride;
                    const Word limit = Word(least);
                    const int8_t sign = list[s].sign;
                    for (int i = 0; i < stride; i++) tally[i] = int8_t(tally[i] + (row[i] >= limit ? sign : int8_t(0)));
                }
                int32_t* __restrict sum = totals + int64_t(b) * stride;
                for (int i = 0; i < stride; i++) sum[i] += tally[i];
            }
        }
    }

    const Inputs& inputs_;
    const Neuron& neuron_;
    std::vector<int32_t> totals_;
    std::vector<int8_t> tallies_;
};

inline void count_bias(const Neuron& neuron, const Steps& steps, int32_t* counts) {  // [counters][bias_bits]
    for (int counter = 0; counter < counters; counter++)
        for (int direction = 0; direction < 2; direction++)
            for (const Step& step : steps.lists[counter][direction])
                for (int b = 0; b < neuron.bias_bits; b++)
                    if (neuron.bias_signs[b] == (direction ? -1 : 1) &&
                        int64_t(1) << neuron.bias_log2_steps[b] >= step.distance)
                        counts[counter * neuron.bias_bits + b] += step.sign;
}

}  // namespace edgeval
