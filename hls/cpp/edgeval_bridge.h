// Words in, words out of an hls4ml C-simulation: the part that is the same for every project.
//
// A generated translation unit (hls/csim/shim.py) includes the project's own headers, then this one, and fills in
// three tables: the weight arrays, the traced layers and the call of the top function. Everything crosses the border
// as int64 words; hls4ml's fixed-point types only ever see values they hold exactly.

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

// Raw bits of one element of an ap_fixed or ap_int type, sign-extended.
template <class T, bool SIGNED>
int64_t get_word(const void* array, size_t index) {
    const uint64_t bits = static_cast<const T*>(array)[index].range(T::width - 1, 0).to_uint64();
    const uint64_t sign = uint64_t{1} << (T::width - 1);
    return SIGNED && (bits & sign) ? static_cast<int64_t>(bits) - static_cast<int64_t>(sign) * 2
                                   : static_cast<int64_t>(bits);
}

template <class T>
void set_word(void* array, size_t index, int64_t word) {
    static_cast<T*>(array)[index].range(T::width - 1, 0) = static_cast<uint64_t>(word);
}

// A weight array of the generated code.
struct Array {
    void* data;
    size_t size;
    int64_t (*get)(const void*, size_t);
    void (*set)(void*, size_t, int64_t);
};

template <class T, int WIDTH, bool SIGNED>
Array make_array(T* data, size_t size) {
    static_assert(T::width == WIDTH, "the generated type is not as wide as the integer network says");
    static_assert(WIDTH < 64, "a word has to fit the carrier");
    return Array{data, size, &get_word<T, SIGNED>, &set_word<T>};
}

// A layer whose result hls4ml's trace hands out as doubles; exact because no word is wider than 53 bits.
struct Tap {
    const char* layer;
    size_t size;
    int unit_log2;
};

// Value of one word as the generated code reads it, and back. `ok` turns false where a value is no whole word.
inline double to_value(int64_t word, int unit_log2) { return std::ldexp(static_cast<double>(word), unit_log2); }

inline int64_t to_word(double value, int unit_log2, bool* ok) {
    const double scaled = std::ldexp(value, -unit_log2);
    if (!(std::fabs(scaled) < 9007199254740992.0) || scaled != std::nearbyint(scaled)) {
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
    const std::vector<double>& operator[](size_t tap) const { return buffers_[tap]; }

  private:
    std::vector<std::vector<double>> buffers_;
    std::map<std::string, void*> outputs_;
};

}  // namespace edgeval

#endif  // EDGEVAL_BRIDGE_H_
