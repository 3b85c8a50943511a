// The decision of a network as a step function of one neuron's word, where hidden layers follow.
#pragma once

#include "edgeval_steps.h"

namespace edgeval {

// The network with one word of a neuron at another value: sums and words of all later layers.
struct State {
    int32_t step = 0;  // above the golden word
    int best = 0;
    std::vector<std::vector<int32_t>> own_sums;
    std::vector<std::vector<int16_t>> own_words;
    std::vector<const int32_t*> sums;  // the golden arrays, or its own
    std::vector<const int16_t*> words;
};

// Steps of the decision as a function of one neuron's word, where hidden layers follow.
class Search {
  public:
    Search(const Layer* layers, int count, const Decisions& decisions)
        : layers_(layers), count_(count), decisions_(decisions) {
        int widest = LANES;
        for (int k = 0; k < count; k++) widest = std::max(widest, std::max(layers[k].padded, layers[k].padded_inputs));
        for (auto* buffer : {&low_, &high_, &moved_}) buffer->resize(widest);
        for (auto* buffer : {&up_, &down_}) buffer->resize(widest);
        for (auto& state : pool_) {
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

    // Makes ready for a neuron. Whether its word rises or falls, each word of the first layer moves one way: what can
    // raise an output of the second layer (or lower it) is then one product of known weights with those moves.
    void prepare(int channel) {
        channel_ = channel;
        if (decisions_.rising == nullptr) return;
        const Layer& second = layers_[1];
        const int64_t size = int64_t(second.padded_inputs) * second.padded;
        const bool last = count_ == 2;
        const int sets = last ? decisions_.classes : 1;
        for (int falling = 0; falling < 2; falling++) {
            raising_[falling].resize(sets * size);
            lowering_[falling].resize(last ? 0 : size);
            for (int set = 0; set < sets; set++) {
                const int16_t* up = last ? decisions_.rising + set * size : second.rising;
                const int16_t* down = last ? decisions_.sinking + set * size : second.sinking;
                choose(up, down, falling, raising_[falling].data() + set * size);
                if (!last) choose(down, up, falling, lowering_[falling].data());
            }
        }
        if (last) bound_moves();
    }

    // The sample that the next calls are about.
    void start(const Sample& sample) {
        sample_ = sample.number;
        State& state = pool_[0];
        state.step = 0;
        state.best = sample.best;
        for (int k = 0; k < count_; k++) {
            state.sums[k] = layers_[k].golden_sums + sample_ * layers_[k].padded;
            state.words[k] = layers_[k].golden_words + sample_ * layers_[k].padded;
        }
    }

    // Walks the neuron's word from its golden value to `reach` (in words, of either sign, not 0).
    // emit(step, from, to): the decision is `to` from `step` on.
    template <class Emit>
    void walk(int32_t reach, Emit emit) {
        if (surely_constant(reach) || constant(pool_[0], reach)) return;
        evaluate(pool_[1], reach);
        bisect(0, 1, 2, emit);
    }

    // The decision where the neuron's word is `step` above its golden value.
    int best_at(int32_t step) {
        if (surely_constant(step) || constant(pool_[0], step)) return pool_[0].best;
        evaluate(pool_[1], step);
        return pool_[1].best;
    }

  private:
    void evaluate(State& state, int32_t step) {
        state.step = step;
        for (int k = 0; k < count_; k++) {
            const Layer& layer = layers_[k];
            const int32_t* golden = layer.golden_sums + sample_ * layer.padded;
            int32_t* sums = state.own_sums[k].data();
            if (k == 0) {
                const int16_t* row = layer.rows + int64_t(channel_) * layer.padded;
                add_scaled(sums, golden, row, step, layer.padded);
            } else {
                std::memcpy(sums, golden, sizeof(int32_t) * layer.padded);
                add_products(sums, layer.pairs, moved_.data(), layer.padded_inputs, layer.padded);
            }
            state.sums[k] = sums;
            if (k + 1 == count_) break;
            int16_t* words = state.own_words[k].data();
            apply(layer.activation, sums, words, layer.outputs, layer.padded);
            const int16_t* before = layer.golden_words + sample_ * layer.padded;
            subtract(moved_.data(), words, before, layer.padded);
            state.words[k] = words;
        }
        state.best = best_of(state.sums[count_ - 1], decisions_.classes);
    }

    // Weights that meet words of the first layer moving up, or down, as the neuron's word rises or falls.
    void choose(const int16_t* when_up, const int16_t* when_down, int falling, int16_t* chosen) const {
        const Layer &first = layers_[0], &second = layers_[1];
        const int16_t* row = first.rows + int64_t(channel_) * first.padded;
        for (int i = 0; i < second.padded_inputs; i++) {
            const bool up = (row[i] > 0) != (falling == 1);
            for (int o = 0; o < second.padded; o++) {
                const int64_t at = (int64_t(i / 2) * second.padded + o) * 2 + i % 2;
                chosen[at] = up ? when_up[at] : when_down[at];
            }
        }
    }

    // By how much each class can gain on the best one when the neuron's word moves by up to 2**level, whatever the
    // words of the layer are: the cheapest proof that nothing changes.
    void bound_moves() {
        const Layer &first = layers_[0], &last = layers_[1];
        const int16_t* row = first.rows + int64_t(channel_) * first.padded;
        const int64_t size = int64_t(last.padded_inputs) * last.padded;
        for (int falling = 0; falling < 2; falling++) {
            gains_[falling].assign(int64_t(levels) * decisions_.classes * last.padded, 0);
            for (int level = 0; level < levels; level++) {
                for (int i = 0; i < last.padded_inputs; i++) {
                    const int32_t move =
                        i < first.outputs ? largest_move(first.activation, i, std::abs(int64_t(row[i])) << level) : 0;
                    moved_[i] = int16_t((row[i] > 0) != (falling == 1) ? move : -move);
                }
                for (int best = 0; best < decisions_.classes; best++)
                    add_products(gains_[falling].data() + (int64_t(level) * decisions_.classes + best) * last.padded,
                                 raising_[falling].data() + best * size, moved_.data(), last.padded_inputs,
                                 last.padded);
            }
        }
    }

    bool surely_constant(int32_t step) const {
        if (count_ != 2 || decisions_.rising == nullptr) return false;
        int level = 0;
        while (std::abs(step) > 1 << level) level++;
        const int best = pool_[0].best;
        const int32_t* gain =
            gains_[step < 0].data() + (int64_t(level) * decisions_.classes + best) * layers_[1].padded;
        return !overtaken(gain, pool_[0]);
    }

    // Whether any class can pass the best one of a state, given how much each can gain on it.
    bool overtaken(const int32_t* gain, const State& state) const {
        const int32_t* output = state.sums[count_ - 1];
        const int32_t lead = output[state.best];
        int passed = 0;
        for (int c = 0; c < decisions_.classes; c++)  // the best one never gains on itself
            passed |= int(gain[c] > lead - output[c] - int(c < state.best)) & int(c != state.best);
        return passed != 0;
    }

    // Whether no word between a state and `step` can change the state's decision. Never wrong when true.
    bool constant(const State& state, int32_t step) {
        if (decisions_.rising == nullptr) return false;
        const Layer &first = layers_[0], &last = layers_[count_ - 1];
        const int16_t* row = first.rows + int64_t(channel_) * first.padded;
        const int32_t moved = step - state.step;
        add_scaled(up_.data(), state.sums[0], row, moved, first.padded);
        apply(first.activation, up_.data(), moved_.data(), first.outputs, first.padded);
        subtract(moved_.data(), moved_.data(), state.words[0], first.padded);  // monotone in the step: the bounds
        const int falling = moved < 0;
        std::fill(up_.begin(), up_.begin() + layers_[1].padded, 0);
        if (count_ == 2) {
            const int64_t size = int64_t(last.padded_inputs) * last.padded;
            add_products(up_.data(), raising_[falling].data() + state.best * size, moved_.data(), last.padded_inputs,
                         last.padded);
            return !overtaken(up_.data(), state);
        }
        std::fill(down_.begin(), down_.begin() + layers_[1].padded, 0);
        add_products(up_.data(), raising_[falling].data(), moved_.data(), layers_[1].padded_inputs, layers_[1].padded);
        add_products(down_.data(), lowering_[falling].data(), moved_.data(), layers_[1].padded_inputs,
                     layers_[1].padded);
        interval(state, 1);
        for (int k = 2; k + 1 < count_; k++) {
            bounds(layers_[k].rising, layers_[k].sinking, layers_[k].padded_inputs, layers_[k].padded);
            interval(state, k);
        }
        const int64_t size = int64_t(last.padded_inputs) * last.padded;
        std::fill(up_.begin(), up_.begin() + last.padded, 0);
        add_products(up_.data(), decisions_.rising + state.best * size, high_.data(), last.padded_inputs, last.padded);
        add_products(up_.data(), decisions_.sinking + state.best * size, low_.data(), last.padded_inputs, last.padded);
        return !overtaken(up_.data(), state);
    }

    // From how far the sums of a layer can rise and sink to how far its words can.
    void interval(const State& state, int k) {
        const Layer& layer = layers_[k];
        add_to(up_.data(), state.sums[k], layer.padded);
        add_to(down_.data(), state.sums[k], layer.padded);
        apply(layer.activation, up_.data(), high_.data(), layer.outputs, layer.padded);
        apply(layer.activation, down_.data(), low_.data(), layer.outputs, layer.padded);
        subtract(high_.data(), high_.data(), state.words[k], layer.padded);
        subtract(low_.data(), low_.data(), state.words[k], layer.padded);
    }

    // up_[o]: how far output o can rise while its inputs move within [low_, high_]; down_[o]: how far it can sink.
    void bounds(const int16_t* rising, const int16_t* sinking, int padded_inputs, int padded) {
        std::fill(up_.begin(), up_.begin() + padded, 0);
        std::fill(down_.begin(), down_.begin() + padded, 0);
        add_products(up_.data(), rising, high_.data(), padded_inputs, padded);
        add_products(up_.data(), sinking, low_.data(), padded_inputs, padded);
        add_products(down_.data(), rising, low_.data(), padded_inputs, padded);
        add_products(down_.data(), sinking, high_.data(), padded_inputs, padded);
    }

    // Steps between two states of the pool, the nearer to the golden word first; states from `unused` on are free.
    template <class Emit>
    void bisect(int near, int far, int unused, Emit& emit) {
        const int32_t distance = pool_[far].step - pool_[near].step;
        if (std::abs(distance) == 1) {
            if (pool_[near].best != pool_[far].best) emit(pool_[far].step, pool_[near].best, pool_[far].best);
            return;
        }
        if (pool_[near].best == pool_[far].best && constant(pool_[near], pool_[far].step)) return;
        evaluate(pool_[unused], pool_[near].step + distance / 2);
        bisect(near, unused, unused + 1, emit);
        bisect(unused, far, unused + 1, emit);
    }

    const Layer* layers_;
    int count_;
    const Decisions& decisions_;
    int64_t sample_ = 0;
    int channel_ = 0;
    State pool_[24];  // words have at most 15 bits: bisection is no deeper
    static constexpr int levels = 16;
    std::vector<int16_t> low_, high_, moved_;
    std::vector<int16_t> raising_[2], lowering_[2];  // by whether the neuron's word rises or falls
    std::vector<int32_t> gains_[2];                  // [levels][classes][padded]
    std::vector<int32_t> up_, down_;
};

}  // namespace edgeval
