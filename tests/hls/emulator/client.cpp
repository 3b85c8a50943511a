// Calls an emulator as CMS software does, with every type it takes and several it does not; one line a case.
#include <ap_fixed.h>
#include <dlfcn.h>

#include <any>
#include <array>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "edgeval_emulator_interface.h"

using Input = ELEMENT_IN;
using Output = ELEMENT_OUT;
constexpr size_t N = SIZE_IN, M = SIZE_OUT;

static hls4mlEmulator::Model* model;

static void show(const char* name, const char* kind, const std::string& text) {
    std::printf("%s\t%s\t%s\n", name, kind, text.c_str());
}

template <class F>
static void attempt(const char* name, F function) {
    try {
        show(name, "words", function());
    } catch (const std::out_of_range& error) {
        show(name, "out_of_range", error.what());
    } catch (const std::invalid_argument& error) {
        show(name, "invalid_argument", error.what());
    } catch (const std::logic_error& error) {
        show(name, "logic_error", error.what());
    } catch (const std::exception& error) {
        show(name, "exception", error.what());
    }
}

static std::string results() {
    std::array<int64_t, M> words{};
    model->predict();
    model->read_result(std::any(words.data()));
    std::string text;
    for (int64_t word : words) text += (text.empty() ? "" : " ") + std::to_string(word);
    return text;
}

template <class T>
static std::string given(T value) {
    model->prepare_input(std::any(value));
    return results();
}

int main(int, char** arguments) {
    void* library = dlopen(arguments[1], RTLD_LAZY | RTLD_LOCAL);
    if (!library) return std::printf("%s\n", dlerror()), 2;
    auto create = reinterpret_cast<hls4mlEmulator::create_model_cls*>(dlsym(library, "create_model"));
    auto destroy = reinterpret_cast<hls4mlEmulator::destroy_model_cls*>(dlsym(library, "destroy_model"));
    // As hls4mlEmulator::ModelLoader hands a model out.
    std::shared_ptr<hls4mlEmulator::Model> owner(create(), [destroy](hls4mlEmulator::Model* made) { destroy(made); });
    model = owner.get();

    std::array<int64_t, N> words;
    std::array<double, N> doubles;
    std::array<float, N> floats;
    std::array<Input, N> elements;
    for (size_t i = 0; i < N; i++) {
        words[i] = static_cast<int64_t>(3 * i + 1);
        doubles[i] = words[i] * SCALE_IN;
        floats[i] = static_cast<float>(doubles[i]);
        elements[i].range(Input::width - 1, 0) = static_cast<uint64_t>(words[i]);
    }
    const auto constant = words;

    attempt("predict first", [] { return results(); });
    attempt("words", [&] { return given(static_cast<const int64_t*>(words.data())); });
    attempt("writable words", [&] { return given(words.data()); });
    attempt("array of words", [&] { return given(&words); });
    attempt("constant array of words", [&] { return given(&constant); });
    attempt("array by value", [&] { return given(words); });
    attempt("doubles", [&] { return given(static_cast<const double*>(doubles.data())); });
    attempt("array of doubles", [&] { return given(&doubles); });
    attempt("floats", [&] { return given(static_cast<const float*>(floats.data())); });
    attempt("elements", [&] { return given(elements.data()); });
    attempt("array of elements", [&] { return given(static_cast<const std::array<Input, N>*>(&elements)); });
    attempt("predict twice", [&] { return results(); });

    attempt("read before predict", [&] {
        model->prepare_input(std::any(words.data()));
        model->read_result(std::any(words.data()));
        return std::string("nothing was refused");
    });
    attempt("string", [&] { return given(std::string("words")); });
    attempt("vector", [&] { return given(std::vector<int64_t>(N)); });
    attempt("int", [&] {
        std::array<int, N> other{};
        return given(other.data());
    });
    attempt("other length", [&] {
        std::array<int64_t, N + 1> other{};
        return given(&other);
    });
    attempt("other ap_fixed", [&] {
        std::array<ap_fixed<Input::width + 1, 3>, N> other;
        return given(other.data());
    });
    attempt("nothing", [&] {
        model->prepare_input(std::any());
        return results();
    });
    attempt("null", [&] { return given(static_cast<const int64_t*>(nullptr)); });
    attempt("too large a word", [&] {
        auto other = words;
        other[1] = int64_t{1} << Input::width;
        return given(&other);
    });
    attempt("NaN", [&] {
        auto other = doubles;
        other[2] = std::numeric_limits<double>::quiet_NaN();
        return given(&other);
    });
    // A refused input must not leave the one before it behind.
    attempt("predict after a refusal", [] { return results(); });

    attempt("results as doubles", [&] {
        std::array<double, M> out{};
        given(words.data());
        model->read_result(std::any(&out));
        std::string text;
        for (double value : out) text += (text.empty() ? "" : " ") + std::to_string(value / SCALE_OUT);
        return text;
    });
    attempt("results as elements", [&] {
        std::array<Output, M> out;
        given(words.data());
        model->read_result(std::any(out.data()));
        std::string text;
        for (const auto& value : out) {
            const ap_int<Output::width> raw = value.range(Output::width - 1, 0);
            text += (text.empty() ? "" : " ") + std::to_string(raw.to_int64());
        }
        return text;
    });
    attempt("results as floats", [&] {
        std::array<float, M> out{};
        given(words.data());
        model->read_result(std::any(out.data()));
        return std::string("nothing was refused");
    });
    attempt("results in a constant", [&] {
        given(words.data());
        model->read_result(std::any(static_cast<const int64_t*>(words.data())));
        return std::string("nothing was refused");
    });
    return 0;
}
