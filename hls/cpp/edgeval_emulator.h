// One network behind hls4mlEmulator::Model and a plain C interface: the part that is the same for every package.
//
// A generated translation unit (hls/emulator/source.py) names the model's namespace, includes this header, then the
// project's sources inside that namespace, and describes the network in a struct of names, types and sizes. Everything
// here is in the model's namespace too: two packages in one process share no function, whatever is exported.

#ifndef EDGEVAL_EMULATOR_H_
#define EDGEVAL_EMULATOR_H_

#ifndef EDGEVAL_NAMESPACE
#error "emulator.cpp names the namespace of the model"
#endif

#include <cxxabi.h>
#include <pthread.h>

#include <any>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <typeinfo>

#include "edgeval_emulator_interface.h"

namespace EDGEVAL_NAMESPACE {
namespace emulator {

// Element of a port: of an array its element, of a stream the element of its nnet::array.
template <class T, class = void>
struct Element {
    using type = T;
};
template <class T>
struct Element<T, std::void_t<typename T::value_type>> {
    using type = typename T::value_type;
};

// Raw bits of one element of an ap_fixed or ap_int type are the word.
template <class T, bool SIGNED>
int64_t get_word(const T& element) {
    const uint64_t bits = element.range(T::width - 1, 0).to_uint64();
    const uint64_t sign = uint64_t{1} << (T::width - 1);
    return SIGNED && (bits & sign) ? static_cast<int64_t>(bits) - static_cast<int64_t>(sign) * 2
                                   : static_cast<int64_t>(bits);
}

template <class T>
void set_word(T& element, int64_t word) {
    element.range(T::width - 1, 0) = static_cast<uint64_t>(word);
}

// Stored words into a weight array, when the library is loaded; nothing is read from files.
template <class T, class W, size_t SIZE>
bool fill(T (&array)[SIZE], const W (&words)[SIZE]) {
    for (size_t i = 0; i < SIZE; i++) set_word(array[i], static_cast<int64_t>(words[i]));
    return true;
}

// Independent of the caller's rounding mode; the difference is exact for every double.
inline double round_half_even(double value) {
    const double below = std::floor(value);
    const double rest = value - below;
    if (rest != 0.5) return rest < 0.5 ? below : below + 1.0;
    return std::fmod(below, 2.0) == 0.0 ? below : below + 1.0;
}

inline std::string type_name(const std::type_info& type) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(type.name(), nullptr, nullptr, &status),
                                                      std::free);
    return status == 0 && name ? name.get() : type.name();
}

// What a std::any points at: `known` says that it holds one of the four forms, `data` may still be null.
template <class T>
struct Pointer {
    bool known;
    T* data;
};

template <class T, size_t SIZE>
Pointer<T> writable(const std::any& value) {
    if (const auto* pointer = std::any_cast<T*>(&value)) return {true, *pointer};
    if (const auto* pointer = std::any_cast<std::array<T, SIZE>*>(&value))
        return {true, *pointer ? (*pointer)->data() : nullptr};
    return {false, nullptr};
}

template <class T, size_t SIZE>
Pointer<const T> readable(const std::any& value) {
    if (const auto* pointer = std::any_cast<const T*>(&value)) return {true, *pointer};
    if (const auto* pointer = std::any_cast<const std::array<T, SIZE>*>(&value))
        return {true, *pointer ? (*pointer)->data() : nullptr};
    if (const auto* array = std::any_cast<std::array<T, SIZE>>(&value)) return {true, array->data()};
    const Pointer<T> pointer = writable<T, SIZE>(value);
    return {pointer.known, pointer.data};
}

// Run a function on a stack of its own: hls4ml keeps a layer's products there, and a caller's may be too small.
template <class F>
void on_own_stack(size_t bytes, F function) {
    struct Call {
        F* function;
        std::exception_ptr error;
    } call{&function, nullptr};
    pthread_attr_t attributes;
    pthread_t thread;
    int failed = pthread_attr_init(&attributes);
    if (!failed) {
        failed = pthread_attr_setstacksize(&attributes, bytes);
        if (!failed)
            failed = pthread_create(
                &thread, &attributes,
                [](void* argument) -> void* {
                    Call* call = static_cast<Call*>(argument);
                    try {
                        (*call->function)();
                    } catch (...) {
                        call->error = std::current_exception();
                    }
                    return nullptr;
                },
                &call);
        pthread_attr_destroy(&attributes);
    }
    if (failed) throw std::system_error(failed, std::generic_category(), "a thread for the network's stack");
    pthread_join(thread, nullptr);
    if (call.error) std::rethrow_exception(call.error);
}

// The network: words of one sample in, words of one sample out.
//
// NETWORK has: Input, Output (element types), input_size, output_size, input_signed, output_signed,
// quantizer_minimum, input_minimum, input_maximum, input_scale, half_even, output_scale(i), own_stack_bytes, name,
// run(const Input*, Output*).
template <class NETWORK>
class Inference {
  public:
    using Input = typename NETWORK::Input;
    using Output = typename NETWORK::Output;

    void set_words(const int64_t* words) {
        for (size_t i = 0; i < NETWORK::input_size; i++)
            if (words[i] < NETWORK::input_minimum || words[i] > NETWORK::input_maximum)
                refuse<std::out_of_range>("input word " + std::to_string(words[i]) + " at position " +
                                          std::to_string(i) + "; allowed: " + std::to_string(NETWORK::input_minimum) +
                                          " to " + std::to_string(NETWORK::input_maximum));
        for (size_t i = 0; i < NETWORK::input_size; i++) set_word(input_[i], words[i]);
    }

    // As the network's host quantizer does, in float64.
    template <class T>
    void set_values(const T* values) {
        for (size_t i = 0; i < NETWORK::input_size; i++)
            if (!std::isfinite(values[i]))
                refuse<std::invalid_argument>("a real input at position " + std::to_string(i) +
                                              " that is NaN or infinite; allowed: finite numbers");
        for (size_t i = 0; i < NETWORK::input_size; i++) {
            const double ratio = static_cast<double>(values[i]) / NETWORK::input_scale;
            const double rounded = NETWORK::half_even ? round_half_even(ratio) : std::floor(ratio);
            // Compared before the cast: a double far outside int64 has no defined integer.
            set_word(input_[i], rounded <= static_cast<double>(NETWORK::quantizer_minimum) ? NETWORK::quantizer_minimum
                                : rounded >= static_cast<double>(NETWORK::input_maximum)
                                    ? NETWORK::input_maximum
                                    : static_cast<int64_t>(rounded));
        }
    }

    void set_elements(const Input* elements) { input_.assign(elements); }

    void run() {
        // hls4ml's layers may keep state in function statics (line buffers), which all models of a library share.
        static std::mutex mutex;
        const std::lock_guard<std::mutex> lock(mutex);
        if constexpr (NETWORK::own_stack_bytes > 0)
            on_own_stack(NETWORK::own_stack_bytes, [this] { NETWORK::run(input_.data.get(), output_.data.get()); });
        else
            NETWORK::run(input_.data.get(), output_.data.get());
    }

    void get_words(int64_t* words) const {
        for (size_t i = 0; i < NETWORK::output_size; i++)
            words[i] = get_word<Output, NETWORK::output_signed>(output_[i]);
    }

    void get_values(double* values) const {
        for (size_t i = 0; i < NETWORK::output_size; i++)
            values[i] =
                static_cast<double>(get_word<Output, NETWORK::output_signed>(output_[i])) * NETWORK::output_scale(i);
    }

    void get_elements(Output* elements) const {
        for (size_t i = 0; i < NETWORK::output_size; i++) elements[i] = output_[i];
    }

    template <class ERROR>
    [[noreturn]] static void refuse(const std::string& what) {
        throw ERROR(std::string("emulator ") + NETWORK::name + ": found " + what);
    }

  private:
    template <class T, size_t SIZE>
    struct Buffer {
        std::unique_ptr<T[]> data{new T[SIZE]};
        T& operator[](size_t i) { return data[i]; }
        const T& operator[](size_t i) const { return data[i]; }
        void assign(const T* source) {
            for (size_t i = 0; i < SIZE; i++) data[i] = source[i];
        }
    };
    Buffer<Input, NETWORK::input_size> input_;
    Buffer<Output, NETWORK::output_size> output_;
};

// What create_model() hands out.
template <class NETWORK>
class EmulatedModel final : public hls4mlEmulator::Model {
  public:
    void prepare_input(std::any input) override {
        // A refused input leaves nothing behind that predict() could take for one.
        state_ = State::empty;
        if (const auto words = readable<int64_t, NETWORK::input_size>(input); words.known)
            inference_.set_words(required(words.data, "prepare_input"));
        else if (const auto doubles = readable<double, NETWORK::input_size>(input); doubles.known)
            inference_.set_values(required(doubles.data, "prepare_input"));
        else if (const auto floats = readable<float, NETWORK::input_size>(input); floats.known)
            inference_.set_values(required(floats.data, "prepare_input"));
        else if (const auto elements = readable<Input, NETWORK::input_size>(input); elements.known)
            inference_.set_elements(required(elements.data, "prepare_input"));
        else
            refuse_type("prepare_input", input,
                        "words as const int64_t*, real values as const double* or const float*, or elements as const " +
                            type_name(typeid(Input)) + "*",
                        NETWORK::input_size, ", or such an array by value");
        state_ = State::prepared;
    }

    void predict() override {
        if (state_ == State::empty)
            Inference<NETWORK>::template refuse<std::logic_error>(
                "predict() without an input; allowed: prepare_input "
                "first");
        inference_.run();
        state_ = State::done;
    }

    void read_result(std::any result) override {
        if (state_ != State::done)
            Inference<NETWORK>::template refuse<std::logic_error>(
                "read_result() without a result; allowed: prepare_input, then predict, first");
        if (const auto words = writable<int64_t, NETWORK::output_size>(result); words.known)
            inference_.get_words(required(words.data, "read_result"));
        else if (const auto values = writable<double, NETWORK::output_size>(result); values.known)
            inference_.get_values(required(values.data, "read_result"));
        else if (const auto elements = writable<Output, NETWORK::output_size>(result); elements.known)
            inference_.get_elements(required(elements.data, "read_result"));
        else
            refuse_type("read_result", result,
                        "words as int64_t*, real values as double*, or elements as " + type_name(typeid(Output)) + "*",
                        NETWORK::output_size, "");
    }

  private:
    using Input = typename NETWORK::Input;
    using Output = typename NETWORK::Output;
    enum class State { empty, prepared, done };

    template <class T>
    static T* required(T* data, const char* function) {
        if (!data)
            Inference<NETWORK>::template refuse<std::invalid_argument>(std::string("a null pointer in ") + function);
        return data;
    }

    [[noreturn]] static void refuse_type(const char* function, const std::any& given, const std::string& allowed,
                                         size_t size, const char* also) {
        const std::string count = std::to_string(size);
        Inference<NETWORK>::template refuse<std::invalid_argument>(
            std::string("a std::any of ") + (given.has_value() ? type_name(given.type()) : "nothing") + " in " +
            function + "; allowed: " + allowed + ", each to " + count + " numbers, or a pointer to a std::array of " +
            count + " of them" + also);
    }

    Inference<NETWORK> inference_;
    State state_ = State::empty;
};

// The C interface: 0, or 1 + the index of the first sample that was refused, -1 for a null pointer, -2 for a failure.
template <class NETWORK, class IN, class OUT>
int64_t infer(const IN* inputs, OUT* outputs, size_t samples) noexcept {
    if (!inputs || !outputs) return samples == 0 ? 0 : -1;
    try {
        Inference<NETWORK> inference;
        for (size_t sample = 0; sample < samples; sample++) {
            const IN* input = inputs + sample * NETWORK::input_size;
            OUT* output = outputs + sample * NETWORK::output_size;
            try {
                if constexpr (std::is_same_v<IN, int64_t>)
                    inference.set_words(input);
                else
                    inference.set_values(input);
            } catch (const std::logic_error&) {  // out_of_range and invalid_argument: the input was refused
                return static_cast<int64_t>(sample) + 1;
            }
            inference.run();
            if constexpr (std::is_same_v<OUT, int64_t>)
                inference.get_words(output);
            else
                inference.get_values(output);
        }
    } catch (...) {  // no exception may leave a C function
        return -2;
    }
    return 0;
}

}  // namespace emulator
}  // namespace EDGEVAL_NAMESPACE

#endif  // EDGEVAL_EMULATOR_H_
