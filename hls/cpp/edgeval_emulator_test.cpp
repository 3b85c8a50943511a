// Golden vectors through one or more emulators, loaded into one process as CMS software loads them.
//
//     test_emulator [--global] FOLDER/NAME.so ...
//
// All libraries are loaded before any of them runs, and samples are taken from each in turn: an array or a function
// that two libraries share shows as a difference. Beside each library lie golden/inputs.npy (words), golden/values.npy
// (real values that quantize to these words) and golden/outputs.npy (words of the exact engine). Each sample goes in as
// words and as real values through create_model(), and once more through the C interface.
//
// Exit code: 0 all words equal, 1 some differ, 2 a file or library that cannot be used.

#include <dlfcn.h>

#include <algorithm>
#include <any>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "edgeval_emulator_interface.h"

namespace {

template <class T>
struct Rows {
    size_t count = 0;
    size_t size = 1;  // numbers a sample
    std::vector<T> data;
    const T* row(size_t i) const { return data.data() + i * size; }
};

// A NumPy file of 64-bit numbers, samples first.
template <class T>
Rows<T> read_npy(const std::string& path, const std::string& type) {
    std::ifstream file(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (bytes.size() < 10 || bytes.compare(0, 6, "\x93NUMPY") != 0 || bytes[6] != 1)
        throw std::runtime_error(path + ": not a NumPy file of version 1");
    const size_t start = 10 + static_cast<unsigned char>(bytes[8]) + 256 * static_cast<unsigned char>(bytes[9]);
    const std::string header = bytes.substr(10, start < 10 ? 0 : start - 10);
    if (header.find("'descr': '" + type + "'") == std::string::npos ||
        header.find("'fortran_order': False") == std::string::npos)
        throw std::runtime_error(path + ": not an array of " + type + " in C order");
    const size_t shape = header.find('(', header.find("'shape'"));
    Rows<T> rows;
    size_t axis = 0;
    for (size_t i = shape; shape != std::string::npos && header[i] != ')'; i++) {
        if (header[i] < '0' || header[i] > '9') continue;
        size_t used = 0;
        const size_t length = std::stoul(header.substr(i), &used);
        if (axis++ == 0)
            rows.count = length;
        else
            rows.size *= length;
        i += used - 1;
    }
    if (bytes.size() != start + rows.count * rows.size * sizeof(T) || rows.count == 0 || rows.size == 0)
        throw std::runtime_error(path + ": " + std::to_string(bytes.size()) + " bytes do not fit its shape");
    rows.data.resize(rows.count * rows.size);
    std::memcpy(rows.data.data(), bytes.data() + start, rows.data.size() * sizeof(T));
    return rows;
}

class Emulator {
  public:
    Emulator(const std::string& path, int flags) : path_(path) {
        const size_t slash = path.rfind('/');
        const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash);
        const std::string file = slash == std::string::npos ? path : path.substr(slash + 1);
        inputs_ = read_npy<int64_t>(folder + "/golden/inputs.npy", "<i8");
        values_ = read_npy<double>(folder + "/golden/values.npy", "<f8");
        outputs_ = read_npy<int64_t>(folder + "/golden/outputs.npy", "<i8");
        if (inputs_.count != outputs_.count || inputs_.count != values_.count || inputs_.size != values_.size)
            throw std::runtime_error(folder + "/golden: files of different shapes");
        library_ = dlopen((folder + "/" + file).c_str(), flags);
        if (!library_) throw std::runtime_error(dlerror());
        const std::string stem = file.substr(0, file.rfind(".so"));
        infer_ = function<int64_t(const int64_t*, int64_t*, size_t)>("edgeval_" + stem + "_infer");
        destroy_ = function<hls4mlEmulator::destroy_model_cls>("destroy_model");
        model_ = function<hls4mlEmulator::create_model_cls>("create_model")();
    }
    ~Emulator() {
        if (model_) destroy_(model_);
        if (library_) dlclose(library_);
    }
    Emulator(const Emulator&) = delete;
    Emulator& operator=(const Emulator&) = delete;

    size_t samples() const { return inputs_.count; }

    void run(size_t sample) {
        std::vector<int64_t> words(outputs_.size), reals(outputs_.size), through_c(outputs_.size);
        model_->prepare_input(std::any(inputs_.row(sample)));
        model_->predict();
        model_->read_result(std::any(words.data()));
        model_->prepare_input(std::any(values_.row(sample)));
        model_->predict();
        model_->read_result(std::any(reals.data()));
        if (infer_(inputs_.row(sample), through_c.data(), 1) != 0)
            throw std::runtime_error(path_ + ": the C interface refused sample " + std::to_string(sample));
        for (size_t i = 0; i < outputs_.size; i++) {
            const int64_t golden = outputs_.row(sample)[i];
            const int64_t wrong = words[i] != golden ? words[i] : reals[i] != golden ? reals[i] : through_c[i];
            if (wrong == golden) continue;
            if (differing_++ == 0)
                first_ = "; first at sample " + std::to_string(sample) + ", output " + std::to_string(i) +
                         ": emulator " + std::to_string(wrong) + ", golden " + std::to_string(golden) +
                         (words[i] != golden   ? ""
                          : reals[i] != golden ? " (from real values)"
                                               : " (through the C interface)");
        }
    }

    // Anything but the types it takes is a std::exception, not a crash and not a guess.
    void refuse_wrong_type() {
        try {
            model_->prepare_input(std::any(std::string("a string")));
        } catch (const std::exception&) {
            return;
        }
        throw std::runtime_error(path_ + ": a string was taken as an input");
    }

    bool report() const {
        const size_t words = outputs_.data.size();
        std::printf("%s %zu of %zu output words, %zu samples: %s%s\n", differing_ ? "DIFFER" : "MATCH",
                    differing_ ? differing_ : words, words, outputs_.count, path_.c_str(), first_.c_str());
        return differing_ == 0;
    }

  private:
    template <class F>
    F* function(const std::string& name) {
        void* symbol = dlsym(library_, name.c_str());
        if (!symbol) throw std::runtime_error(path_ + ": no function " + name);
        return reinterpret_cast<F*>(symbol);
    }

    std::string path_, first_;
    Rows<int64_t> inputs_, outputs_;
    Rows<double> values_;
    void* library_ = nullptr;
    hls4mlEmulator::Model* model_ = nullptr;
    hls4mlEmulator::destroy_model_cls* destroy_ = nullptr;
    int64_t (*infer_)(const int64_t*, int64_t*, size_t) = nullptr;
    size_t differing_ = 0;
};

int run_all(const std::vector<std::string>& paths, int flags) {
    std::vector<std::unique_ptr<Emulator>> emulators;
    size_t samples = 0;
    for (const auto& path : paths) {
        emulators.push_back(std::make_unique<Emulator>(path, flags));
        samples = std::max(samples, emulators.back()->samples());
    }
    for (const auto& emulator : emulators) emulator->refuse_wrong_type();
    for (size_t sample = 0; sample < samples; sample++)
        for (const auto& emulator : emulators)
            if (sample < emulator->samples()) emulator->run(sample);
    bool all = true;
    for (const auto& emulator : emulators) all = emulator->report() && all;
    return all ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
    std::vector<std::string> paths(arguments + 1, arguments + count);
    int flags = RTLD_LAZY | RTLD_LOCAL;
    if (!paths.empty() && paths.front() == "--global") {
        flags = RTLD_LAZY | RTLD_GLOBAL;
        paths.erase(paths.begin());
    }
    if (paths.empty()) {
        std::fprintf(stderr, "usage: test_emulator [--global] FOLDER/NAME.so ...\n");
        return 2;
    }
    try {
        return run_all(paths, flags);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 2;
    }
}
