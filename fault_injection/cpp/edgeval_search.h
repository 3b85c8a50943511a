// The decision of a network as a step function of one neuron's word, where hidden layers follow.
#pragma once

#include "edgeval_steps.h"

namespace edgeval {

// The network with one word of a neuron at another value: sums and words of all later layers.
struct State {
    int32_t step = 0; // above the golden word
    int best = 0;
    std::vector<std::vector<int32_t>> own_sums;
    std::vector<std::vector<int16_t>> own_words;
    std::vector<const int32_t *> sums; // the golden arrays, or its own
    std::vector<const int16_t *> words;
};

// Steps of the decision as a function of one neuron's word, where hidden layers follow.
class Search {
  public:
    Search(const Layer *layers, int count, const Decisions &decisions)
        : layers_(layers), count_(count), decisions_(decisions) {
        int widest = LANES;
        for (int k = 0; k < count; k++)
            widest = std::max(widest, std::max(layers[k].padded, layers[k].padded_inputs));
        for (auto *buffer : {&low_, &high_, &moved_})
            buffer->resize(widest);
        for (auto *buffer : {&up_, &down_})
            buffer->resize(widest);
        for (auto &state : pool_) {
            state.own_sums.resize(count);
            state.own_words.resize(count);
            state.sums.resize(count);
            state.words.resize(count);
            for (int k = 0; k < count; k++) {
                state.own_sums[k].resize(layers[k].padded);
                state.own_words[k].resize(layers[k].padded);
            }
        }
    }

    // Walks the neuron's word from its golden value to `reach` and on to `far_reach` (distances in words, of one sign;
    // far_reach is where bias faults go). emit(step, from, to): the decision is `to` from `step` on.
    template <class Emit> void run(const Sample &sample, int channel, int32_t reach, int32_t far_reach, Emit emit) {
        sample_ = sample.number;
        channel_ = channel;
        start(sample.best);
        if (constant(pool_[0], far_reach))
            return;
        int near = 0;
        if (reach != 0 && reach != far_reach) {
            const bool nothing = constant(pool_[0], reach);
            evaluate(pool_[1], reach);
            if (!nothing)
                bisect(0, 1, 2, emit);
            near = 1;
        }
        evaluate(pool_[near + 1], far_reach);
        bisect(near, near + 1, near + 2, emit);
    }

  private:
    void start(int best) {
        State &state = pool_[0];
        state.step = 0;
        state.best = best;
        for (int k = 0; k < count_; k++) {
            state.sums[k] = layers_[k].golden_sums + sample_ * layers_[k].padded;
            state.words[k] = layers_[k].golden_words + sample_ * layers_[k].padded;
        }
    }

    void evaluate(State &state, int32_t step) {
        state.step = step;
        for (int k = 0; k < count_; k++) {
            const Layer &layer = layers_[k];
            const int32_t *golden = layer.golden_sums + sample_ * layer.padded;
            int32_t *sums = state.own_sums[k].data();
            if (k == 0) {
                const int16_t *row = layer.rows + int64_t(channel_) * layer.padded;
                for (int c = 0; c < layer.padded; c++)
                    sums[c] = golden[c] + row[c] * step;
            } else {
                std::memcpy(sums, golden, sizeof(int32_t) * layer.padded);
                add_products(sums, layer.pairs, moved_.data(), layer.padded_inputs, layer.padded);
            }
            state.sums[k] = sums;
            if (k + 1 == count_)
                break;
            int16_t *words = state.own_words[k].data();
            apply(layer.activation, sums, words, layer.outputs, layer.padded);
            const int16_t *before = layer.golden_words + sample_ * layer.padded;
            for (int c = 0; c < layer.padded; c++)
                moved_[c] = int16_t(words[c] - before[c]);
            state.words[k] = words;
        }
        state.best = best_of(state.sums[count_ - 1], decisions_.classes);
    }

    // Whether no word between a state and `step` can change the state's decision. Never wrong when true.
    bool constant(const State &state, int32_t step) {
        if (decisions_.rising == nullptr)
            return false;
        const Layer &first = layers_[0];
        const int16_t *row = first.rows + int64_t(channel_) * first.padded;
        const int32_t moved = step - state.step;
        for (int c = 0; c < first.padded; c++)
            up_[c] = state.sums[0][c] + row[c] * moved;
        apply(first.activation, up_.data(), moved_.data(), first.outputs, first.padded);
        for (int c = 0; c < first.padded; c++) { // monotone in the step: the ends are the bounds
            const int16_t by = int16_t(moved_[c] - state.words[0][c]);
            low_[c] = by < 0 ? by : int16_t(0);
            high_[c] = by > 0 ? by : int16_t(0);
        }
        for (int k = 1; k + 1 < count_; k++) {
            const Layer &layer = layers_[k];
            bounds(layer.rising, layer.sinking, layer.padded_inputs, layer.padded);
            for (int c = 0; c < layer.padded; c++) {
                up_[c] += state.sums[k][c];
                down_[c] += state.sums[k][c];
            }
            apply(layer.activation, up_.data(), high_.data(), layer.outputs, layer.padded);
            apply(layer.activation, down_.data(), low_.data(), layer.outputs, layer.padded);
            for (int c = 0; c < layer.padded; c++) {
                high_[c] = int16_t(high_[c] - state.words[k][c]);
                low_[c] = int16_t(low_[c] - state.words[k][c]);
            }
        }
        const Layer &last = layers_[count_ - 1];
        const int64_t size = int64_t(last.padded_inputs) * last.padded;
        std::fill(up_.begin(), up_.begin() + last.padded, 0);
        add_products(up_.data(), decisions_.rising + state.best * size, high_.data(), last.padded_inputs, last.padded);
        add_products(up_.data(), decisions_.sinking + state.best * size, low_.data(), last.padded_inputs, last.padded);
        const int32_t *output = state.sums[count_ - 1];
        for (int c = 0; c < decisions_.classes; c++)
            if (c != state.best && up_[c] > output[state.best] - output[c] - int(c < state.best))
                return false;
        return true;
    }

    // up_[o]: how far output o can rise while its inputs move within [low_, high_]; down_[o]: how far it can sink.
    void bounds(const int16_t *rising, const int16_t *sinking, int padded_inputs, int padded) {
        std::fill(up_.begin(), up_.begin() + padded, 0);
        std::fill(down_.begin(), down_.begin() + padded, 0);
        add_products(up_.data(), rising, high_.data(), padded_inputs, padded);
        add_products(up_.data(), sinking, low_.data(), padded_inputs, padded);
        add_products(down_.data(), rising, low_.data(), padded_inputs, padded);
        add_products(down_.data(), sinking, high_.data(), padded_inputs, padded);
    }

    // Steps between two states of the pool, the nearer to the golden word first; states from `unused` on are free.
    template <class Emit> void bisect(int near, int far, int unused, Emit &emit) {
        const int32_t distance = pool_[far].step - pool_[near].step;
        if (std::abs(distance) == 1) {
            if (pool_[near].best != pool_[far].best)
                emit(pool_[far].step, pool_[near].best, pool_[far].best);
            return;
        }
        if (pool_[near].best == pool_[far].best && constant(pool_[near], pool_[far].step))
            return;
        evaluate(pool_[unused], pool_[near].step + distance / 2);
        bisect(near, unused, unused + 1, emit);
        bisect(unused, far, unused + 1, emit);
    }

    const Layer *layers_;
    int count_;
    const Decisions &decisions_;
    int64_t sample_ = 0;
    int channel_ = 0;
    State pool_[24]; // words have at most 15 bits: bisection is no deeper
    std::vector<int16_t> low_, high_, moved_;
    std::vector<int32_t> up_, down_;
};

} // namespace edgeval
