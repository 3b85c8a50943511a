// One neuron of a dense layer, and which faults of its stored words change its word on a sample.
//
// A flip of bit b of the weight of input i moves the sum by x = +-2**log2_steps[b] * input[i]. The neuron's word
// changes only where x reaches the next step of its activation, so one comparison with the bytes of the inputs finds
// the faults that matter: input >= ceil(distance / 2**log2_steps[b]).
#pragma once

#include <climits>

#include "edgeval_suffix.h"

namespace edgeval {

struct Inputs {  // words that a layer reads, by sign; mirrored in fault_injection/kernel_library.py
    int64_t samples;
    int32_t inputs, stride;  // stride: multiple of 64
    int32_t bytes;           // 1 or 2 a word
    const void* positive;    // [samples][stride], max(word, 0)
    const void* negative;    // max(-word, 0), null where no word is negative
    const int32_t* largest;  // [samples][2], of either part
};

struct Neuron {  // mirrored in fault_injection/kernel_library.py
    int32_t channel;
    const int32_t* sums;   // [samples], golden
    const int32_t* steps;  // [values + 1]: smallest sum whose word is at least low + j; null if not monotone
    int32_t low, values;
    int32_t bits;
    const int32_t* log2_steps;  // [bits]
    const uint64_t* falling;    // [bits][stride / 64]: the flip lowers the word
    const uint64_t* chosen;     // [bits][stride / 64]: faults to judge
    int32_t bias_bits;
    const int32_t* bias_log2_steps;
    const int8_t* bias_signs;  // [bias_bits]: +1, -1, or 0 for a fault that is not to be judged
};

// Distance to the next word above and below, in units of the sum; INT_MAX where there is none.
struct Reach {
    int64_t up, down;
};

inline Reach reach_of(const Neuron& neuron, const Activation& own, int32_t sum) {
    if (own.kind == Activation::none || neuron.steps == nullptr) return {1, 1};
    const int32_t word = apply_one(own, neuron.channel, sum) - neuron.low;
    const int32_t above = neuron.steps[word + 1], at = neuron.steps[word];
    return {above == INT_MAX ? INT64_MAX : int64_t(above) - sum, at == INT_MIN ? INT64_MAX : int64_t(sum) - at + 1};
}

// Smallest input whose product with 2**bits is at least `distance`.
inline int64_t smallest_input(int64_t distance, int bits) {
    return distance == INT64_MAX ? INT64_MAX : (distance + (int64_t(1) << bits) - 1) >> bits;
}

inline uint64_t at_least(const uint8_t* words, uint32_t least) {  // one bit for each of 64 words
#if defined(__AVX2__)
    const __m256i limit = _mm256_set1_epi8(char(least));
    __m256i low = _mm256_loadu_si256((const __m256i*)words), high = _mm256_loadu_si256((const __m256i*)(words + 32));
    uint32_t low_mask = uint32_t(_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(low, limit), low)));
    uint32_t high_mask = uint32_t(_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(high, limit), high)));
    return uint64_t(high_mask) << 32 | low_mask;
#else
    uint64_t mask = 0;
    for (int i = 0; i < 64; i++) mask |= uint64_t(words[i] >= least) << i;
    return mask;
#endif
}

inline uint64_t at_least(const uint16_t* words, uint32_t least) {
    uint64_t mask = 0;
    for (int i = 0; i < 64; i++) mask |= uint64_t(words[i] >= least) << i;
    return mask;
}

// Calls visit(fault, x) for every chosen fault that may change the neuron's word on a sample; faults are numbered
// bit * inputs + input, then those of the bias.
template <class Word, class Visit>
void visit_faults(const Inputs& inputs, const Neuron& neuron, int64_t sample, Reach reach, Visit visit) {
    const Word* positive = static_cast<const Word*>(inputs.positive) + sample * inputs.stride;
    const Word* negative =
        inputs.negative ? static_cast<const Word*>(inputs.negative) + sample * inputs.stride : nullptr;
    const int64_t largest_positive = inputs.largest[2 * sample], largest_negative = inputs.largest[2 * sample + 1];
    const int words = inputs.stride / 64;
    for (int b = 0; b < neuron.bits; b++) {
        const int bits = neuron.log2_steps[b];
        const int64_t up = smallest_input(reach.up, bits), down = smallest_input(reach.down, bits);
        const bool up_positive = up <= largest_positive, down_positive = down <= largest_positive;
        const bool up_negative = up <= largest_negative, down_negative = down <= largest_negative;
        if (!up_positive && !down_positive && !up_negative && !down_negative) continue;
        for (int w = 0; w < words; w++) {
            const uint64_t chosen = neuron.chosen[b * words + w];
            if (chosen == 0) continue;
            const uint64_t falling = neuron.falling[b * words + w];
            uint64_t rising_hits = 0, falling_hits = 0;
            if (up_positive) rising_hits |= at_least(positive + 64 * w, uint32_t(up));
            if (down_positive) falling_hits |= at_least(positive + 64 * w, uint32_t(down));
            if (up_negative) falling_hits |= at_least(negative + 64 * w, uint32_t(up));
            if (down_negative) rising_hits |= at_least(negative + 64 * w, uint32_t(down));
            uint64_t hits = chosen & ((rising_hits & ~falling) | (falling_hits & falling));
            while (hits != 0) {
                const int bit = __builtin_ctzll(hits), i = 64 * w + bit;
                hits &= hits - 1;
                const int32_t word = positive[i] - (negative ? negative[i] : 0);
                const int32_t x = int32_t(uint32_t(word) << bits);
                visit(b * inputs.inputs + i, (falling >> bit) & 1 ? -x : x);
            }
        }
    }
    for (int b = 0; b < neuron.bias_bits; b++) {
        if (neuron.bias_signs[b] == 0) continue;
        const int64_t x = int64_t(1) << neuron.bias_log2_steps[b];
        if (x >= (neuron.bias_signs[b] > 0 ? reach.up : reach.down))
            visit(neuron.bits * inputs.inputs + b, int32_t(neuron.bias_signs[b] > 0 ? x : -x));
    }
}

}  // namespace edgeval
