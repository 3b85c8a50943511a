// Words in, words out of an hls4ml C-simulation: the part that is the same for every project.
//
// A generated translation unit (hls/csim/shim.py) includes the project's own headers, then this one's half for the
// back end's types (edgeval_bridge_ap.h or edgeval_bridge_ac.h), and fills in two tables and the call of the top
// function: the weight arrays and the traced layers. Everything crosses the border as int64 words.

#ifndef EDGEVAL_BRIDGE_H_
#define EDGEVAL_BRIDGE_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

// hls4ml's trace hooks write to these; its own bridge, which defines them otherwise, is not compiled in.
namespace nnet {
extern bool trace_enabled;
extern std::map<std::string, void*>* trace_outputs;
extern size_t trace_type_size;
}  // namespace nnet

namespace edgeval {

// A weight array of the generated code.
struct Array {
    void* data;
    size_t size;
    int64_t (*get)(const void*, size_t);
    void (*set)(void*, size_t, int64_t);
};

// WIDTH bits, as the integer network says. raw_of and set_raw, one pair a family of types, know all bits of a type;
// where hls4ml made it wider than asked for, the bits it has too many lie below.
template <class T, int WIDTH>
struct Word {
    static_assert(T::width == WIDTH || (WIDTH == 1 && T::width == 2), "the generated type has another width");
    static_assert(WIDTH < 64, "a word has to fit the carrier");
    static const int unused = T::width - WIDTH;
    static int64_t get(const T& value) { return raw_of(value) >> unused; }
    static void set(T& value, int64_t word) { set_raw(value, word * (int64_t{1} << unused)); }
    static int64_t get_at(const void* array, size_t index) { return get(static_cast<const T*>(array)[index]); }
    static void set_at(void* array, size_t index, int64_t word) { set(static_cast<T*>(array)[index], word); }
};

template <class T, int WIDTH>
Array make_array(T* data, size_t size) {
    return Array{data, size, &Word<T, WIDTH>::get_at, &Word<T, WIDTH>::set_at};
}

// Ports of the top function that are whole arrays.
template <int WIDTH, class T>
void fill(T* port, const int64_t* words, size_t size) {
    for (size_t i = 0; i < size; i++) Word<T, WIDTH>::set(port[i], words[i]);
}

template <int WIDTH, class T>
void drain(const T* port, int64_t* words, size_t size) {
    for (size_t i = 0; i < size; i++) words[i] = Word<T, WIDTH>::get(port[i]);
}

// Ports that are streams of PACK, an nnet::array.
template <class PACK, int WIDTH, class STREAM>
void fill_stream(STREAM& port, const int64_t* words, size_t size) {
    for (size_t i = 0; i < size; i += PACK::size) {
        PACK pack;
        for (size_t j = 0; j < PACK::size; j++) Word<typename PACK::value_type, WIDTH>::set(pack[j], words[i + j]);
        port.write(pack);
    }
}

template <class PACK, int WIDTH, class STREAM>
void drain_stream(STREAM& port, int64_t* words, size_t size) {
    for (size_t i = 0; i < size; i += PACK::size) {
        const PACK pack = port.read();
        for (size_t j = 0; j < PACK::size; j++)
            words[i + j] = Word<typename PACK::value_type, WIDTH>::get(const_cast<PACK&>(pack)[j]);
    }
}

// A layer whose result hls4ml's trace hands out as doubles; exact because no word is wider than 53 bits.
struct Tap {
    const char* layer;
    size_t size;
    int unit_log2;
};

// The word of a traced value. `ok` turns false where it is no whole word.
inline int64_t to_word(double value, double words_a_unit, bool* ok) {
    const double scaled = value * words_a_unit;
    if (!(std::fabs(scaled) < 9007199254740992.0) || scaled != static_cast<double>(static_cast<int64_t>(scaled))) {
        *ok = false;
        return 0;
    }
    return static_cast<int64_t>(scaled);
}

// Storage for one sample's trace, handed to hls4ml's hooks while it lives.
class Trace {
  public:
    explicit Trace(const std::vector<Tap>& taps) : buffers_(taps.size()) {
        for (size_t i = 0; i < taps.size(); i++) {
            buffers_[i].resize(taps[i].size);
            outputs_[taps[i].layer] = buffers_[i].data();
        }
        nnet::trace_outputs = &outputs_;
        nnet::trace_type_size = sizeof(double);
        nnet::trace_enabled = true;
    }
    ~Trace() {
        nnet::trace_enabled = false;
        nnet::trace_outputs = nullptr;
    }
    Trace(const Trace&) = delete;
    Trace& operator=(const Trace&) = delete;

    // Poison the buffers, so that a layer that writes nothing is seen as NaN and not as the last sample's words.
    void reset() {
        for (auto& buffer : buffers_) buffer.assign(buffer.size(), std::nan(""));
    }
    // The words of one tap; false where one is no whole word.
    bool read(const Tap& tap, size_t position, int64_t* words) const {
        bool ok = true;
        const double words_a_unit = std::ldexp(1.0, -tap.unit_log2);
        for (size_t i = 0; i < tap.size; i++) words[i] = to_word(buffers_[position][i], words_a_unit, &ok);
        return ok;
    }
    // The values of one tap as they are: of projects whose values need be no words.
    const std::vector<double>& values(size_t position) const { return buffers_[position]; }

  private:
    std::vector<std::vector<double>> buffers_;
    std::map<std::string, void*> outputs_;
};

}  // namespace edgeval

#endif  // EDGEVAL_BRIDGE_H_
