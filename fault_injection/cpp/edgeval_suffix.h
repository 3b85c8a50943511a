// From one changed word of a dense layer to the output of the network.
//
// A faulty stored word of a dense layer changes one word behind it, whose value then decides everything downstream.
// `Suffix` computes the exact output for another value of that word, from the fault-free sums of every later layer:
// only differences are multiplied. All arithmetic is integer, except the multiplier of `Activation::Kind::multiply`,
// which is exact in double because its caller has proved that every product stays below 2**53.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace edgeval {

constexpr int LANES = 16;  // rows are padded to this many channels

struct Activation {  // mirrored in fault_injection/kernel_library.py
    enum Kind : int32_t { none, shift, multiply, lookup };
    int32_t kind;
    int32_t shift_bits;
    int32_t half_even;
    int32_t low, high;
    int32_t table_first, table_stride;         // stride 0: one table for all channels
    const double *multiplier, *offset, *unit;  // one a channel, padded
    const int16_t* table;
};

struct Layer {  // a dense layer behind the changed word; mirrored in fault_injection/kernel_library.py
    int32_t inputs, padded_inputs, outputs, padded;
    const int16_t* rows;              // [inputs][padded]
    const int16_t* pairs;             // [padded_inputs / 2][padded][2]
    const int16_t *rising, *sinking;  // positive and negative parts of the pairs
    const int32_t* golden_sums;       // [samples][padded]
    const int16_t* golden_words;      // [samples][padded], behind the activation; unused in the last layer
    Activation activation;
};

inline int32_t shifted(int32_t sum, const Activation& act) {
    if (act.shift_bits <= 0) return int32_t(uint32_t(sum) << -act.shift_bits);
    int32_t floor_ = sum >> act.shift_bits;
    if (!act.half_even) return floor_;
    int32_t below_half = (1 << (act.shift_bits - 1)) - 1;
    return (sum + below_half + (floor_ & 1)) >> act.shift_bits;
}

inline int32_t clipped(int32_t word, int32_t low, int32_t high) { return word < low ? low : word > high ? high : word; }

inline int32_t apply_one(const Activation& act, int32_t channel, int32_t sum) {
    switch (act.kind) {
        case Activation::shift:
            return clipped(shifted(sum, act), act.low, act.high);
        case Activation::multiply: {
            double word = std::nearbyint((sum * act.multiplier[channel] + act.offset[channel]) * act.unit[channel]);
            return int32_t(word < act.low ? act.low : word > act.high ? act.high : word);
        }
        case Activation::lookup:
            return act.table[int64_t(channel) * act.table_stride + (sum - act.table_first)];
    }
    return sum;
}

inline void apply(const Activation& act, const int32_t* __restrict sums, int16_t* __restrict words, int outputs,
                  int padded) {
    switch (act.kind) {
        case Activation::shift: {
            const int32_t low = act.low, high = act.high, bits = act.shift_bits;
            if (bits <= 0) {
                for (int c = 0; c < padded; c++)
                    words[c] = int16_t(clipped(int32_t(uint32_t(sums[c]) << -bits), low, high));
            } else if (!act.half_even) {
                for (int c = 0; c < padded; c++) words[c] = int16_t(clipped(sums[c] >> bits, low, high));
            } else {
                const int32_t below_half = (1 << (bits - 1)) - 1;
                for (int c = 0; c < padded; c++)
                    words[c] = int16_t(clipped((sums[c] + below_half + ((sums[c] >> bits) & 1)) >> bits, low, high));
            }
            return;
        }
        case Activation::multiply: {
            const double low = act.low, high = act.high;
            for (int c = 0; c < padded; c++) {
                double word = std::nearbyint((sums[c] * act.multiplier[c] + act.offset[c]) * act.unit[c]);
                words[c] = int16_t(int32_t(word < low ? low : word > high ? high : word));
            }
            return;
        }
        case Activation::lookup:
            for (int c = 0; c < outputs; c++)
                words[c] = act.table[int64_t(c) * act.table_stride + (sums[c] - act.table_first)];
            std::memset(words + outputs, 0, sizeof(int16_t) * (padded - outputs));
            return;
        default:  // a layer without an activation: its sums are words of at most 15 bits, which the caller has proved
            for (int c = 0; c < padded; c++) words[c] = int16_t(sums[c]);
    }
}

#if defined(__AVX2__)
// 8 * VECTORS outputs, whose sums stay in registers
template <int VECTORS>
inline void add_products_tile(int32_t* sums, const int16_t* pairs, const int16_t* words, int steps, int padded) {
    __m256i total[VECTORS];
    for (int v = 0; v < VECTORS; v++) total[v] = _mm256_loadu_si256((const __m256i*)(sums + 8 * v));
    for (int j = 0; j < steps; j++) {
        int32_t both;
        std::memcpy(&both, words + 2 * j, sizeof both);
        const __m256i pair = _mm256_set1_epi32(both);
        const int16_t* row = pairs + int64_t(j) * padded * 2;
        for (int v = 0; v < VECTORS; v++)
            total[v] =
                _mm256_add_epi32(total[v], _mm256_madd_epi16(_mm256_loadu_si256((const __m256i*)(row + 16 * v)), pair));
    }
    for (int v = 0; v < VECTORS; v++) _mm256_storeu_si256((__m256i*)(sums + 8 * v), total[v]);
}
#endif

// sums[o] += pairs[j][o][0] * words[2 j] + pairs[j][o][1] * words[2 j + 1]
inline void add_products(int32_t* __restrict sums, const int16_t* __restrict pairs, const int16_t* __restrict words,
                         int padded_inputs, int padded) {
    const int steps = padded_inputs / 2;
#if defined(__AVX2__)
    int o = 0;
    for (; o + 64 <= padded; o += 64) add_products_tile<8>(sums + o, pairs + 2 * o, words, steps, padded);
    for (; o + 32 <= padded; o += 32) add_products_tile<4>(sums + o, pairs + 2 * o, words, steps, padded);
    for (; o < padded; o += LANES) add_products_tile<2>(sums + o, pairs + 2 * o, words, steps, padded);
#else
    for (int j = 0; j < steps; j++) {
        const int16_t* row = pairs + int64_t(j) * padded * 2;
        const int32_t first = words[2 * j], second = words[2 * j + 1];
        for (int o = 0; o < padded; o++) sums[o] += row[2 * o] * first + row[2 * o + 1] * second;
    }
#endif
}

// Most that a word can move by when its sum moves by up to `by`.
inline int32_t largest_move(const Activation& act, int32_t channel, int64_t by) {
    const int64_t range = int64_t(act.high) - act.low;
    int64_t move = by == 0 ? 0 : range;
    if (by != 0 && act.kind == Activation::shift)
        move = act.shift_bits <= 0 ? by << -act.shift_bits : (by >> act.shift_bits) + 1;
    else if (by != 0 && act.kind == Activation::multiply)
        move = int64_t(std::min(double(range), double(by) * std::abs(act.multiplier[channel]) * act.unit[channel])) + 1;
    return int32_t(std::min(move, range));
}

// The next three take restricted pointers and plain counts: members would be read again after every store.

// sums = golden + row * step
inline void add_scaled(int32_t* __restrict sums, const int32_t* __restrict golden, const int16_t* __restrict row,
                       int32_t step, int count) {
    for (int c = 0; c < count; c++) sums[c] = golden[c] + row[c] * step;
}

// moved = words - before; moved may be words
inline void subtract(int16_t* moved, const int16_t* words, const int16_t* __restrict before, int count) {
    for (int c = 0; c < count; c++) moved[c] = int16_t(words[c] - before[c]);
}

inline void add_to(int32_t* __restrict sums, const int32_t* __restrict others, int count) {
    for (int c = 0; c < count; c++) sums[c] += others[c];
}

inline int best_of(const int32_t* words, int count) {  // the lowest index wins ties
    int best = 0;
    for (int c = 1; c < count; c++)
        if (words[c] > words[best]) best = c;
    return best;
}

class Suffix {
  public:
    Suffix(const Layer* layers, int count) : layers_(layers), count_(count) {
        int widest = LANES;
        for (int k = 0; k < count; k++) widest = std::max(widest, std::max(layers[k].padded, layers[k].padded_inputs));
        words_.resize(widest);
        moved_.resize(widest);
        sums_.resize(widest);
    }

    // Output sums (before an output activation) where the word `channel` of a sample is `step` above its golden value.
    const int32_t* output(int64_t sample, int channel, int32_t step) {
        for (int k = 0; k < count_; k++) {
            const Layer& layer = layers_[k];
            const int32_t* golden = layer.golden_sums + sample * layer.padded;
            if (k == 0) {
                const int16_t* row = layer.rows + int64_t(channel) * layer.padded;
                add_scaled(sums_.data(), golden, row, step, layer.padded);
            } else {
                std::memcpy(sums_.data(), golden, sizeof(int32_t) * layer.padded);
                add_products(sums_.data(), layer.pairs, moved_.data(), layer.padded_inputs, layer.padded);
            }
            if (k + 1 == count_) break;
            apply(layer.activation, sums_.data(), words_.data(), layer.outputs, layer.padded);
            const int16_t* before = layer.golden_words + sample * layer.padded;
            subtract(moved_.data(), words_.data(), before, layer.padded);
        }
        return sums_.data();
    }

  private:
    const Layer* layers_;
    int count_;
    std::vector<int16_t> words_, moved_;
    std::vector<int32_t> sums_;
};

}  // namespace edgeval
