// What this machine can do at most, on so many threads: bytes a second from memory (triad), byte compares a second that
// are counted, and 16-bit multiply-adds a second. Prints one JSON object. Compiled by machine_roof.py for this machine.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>
#if defined(__AVX2__) || defined(__AVX512BW__)
#include <immintrin.h>
#endif

#if defined(__AVX512BW__)
constexpr int WIDTH = 64;
#else
constexpr int WIDTH = 32;
#endif
typedef signed char Bytes __attribute__((vector_size(WIDTH)));
typedef short Shorts __attribute__((vector_size(WIDTH)));
typedef int Ints __attribute__((vector_size(WIDTH)));

static double seconds_of(int threads, const std::function<void(int)>& work) {
    double best = 1e30;
    for (int repeat = 0; repeat < 5; ++repeat) {
        const auto start = std::chrono::steady_clock::now();
        std::vector<std::thread> pool;
        for (int t = 0; t < threads; ++t) pool.emplace_back(work, t);
        for (auto& one : pool) one.join();
        const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        if (took < best) best = took;
    }
    return best;
}

static double triad(int threads) {
    const std::size_t n = std::size_t(1) << 24;  // 128 MiB an array
    std::vector<double> a(n), b(n, 1.0), c(n, 2.0);
    const double took = seconds_of(threads, [&](int t) {
        const std::size_t from = n / threads * t, to = t == threads - 1 ? n : from + n / threads;
        for (std::size_t i = from; i < to; ++i) a[i] = b[i] + 3.0 * c[i];
    });
    volatile double seen = a[n / 2];
    (void)seen;
    return 3.0 * n * sizeof(double) / took;
}

constexpr int BLOCK = 256;  // vectors a pass: 8 or 16 KiB, in the first cache

// Each byte compared with a threshold, and the hits counted in byte lanes.
static double compares(int threads) {
    const int passes = 1000000;
    const double took = seconds_of(threads, [&](int t) {
        alignas(64) static thread_local Bytes data[BLOCK];
        for (int i = 0; i < BLOCK; ++i)
            for (int j = 0; j < WIDTH; ++j) data[i][j] = (signed char)(i * 31 + j * 17 + t);
        Bytes hits[8] = {};
        Bytes threshold = {};
        for (int pass = 0; pass < passes; ++pass) {
            asm volatile("" : "+m"(data), "+x"(threshold));
            for (int i = 0; i < BLOCK; i += 8)
                for (int k = 0; k < 8; ++k) hits[k] -= (Bytes)(data[i + k] > threshold);
        }
        asm volatile("" ::"m"(hits));
    });
    return double(threads) * passes * BLOCK * WIDTH / took;
}

static Ints multiply_add(Shorts a, Shorts b) {
#if defined(__AVX512BW__)
    return (Ints)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (Ints)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
    return (Ints)(a * b);  // without an instruction for pairs: half of what it would be
#endif
}

static double products(int threads) {
    const int passes = 1000000;
    const double took = seconds_of(threads, [&](int t) {
        alignas(64) static thread_local Shorts data[BLOCK];
        for (int i = 0; i < BLOCK; ++i)
            for (int j = 0; j < WIDTH / 2; ++j) data[i][j] = (short)(i * 31 + j * 17 + t);
        Ints sums[8] = {};
        Shorts factor = data[3];
        for (int pass = 0; pass < passes; ++pass) {
            asm volatile("" : "+m"(data), "+x"(factor));
            for (int i = 0; i < BLOCK; i += 8)
                for (int k = 0; k < 8; ++k) sums[k] += multiply_add(data[i + k], factor);
        }
        asm volatile("" ::"m"(sums));
    });
    return double(threads) * passes * BLOCK * (WIDTH / 2) / took;
}

int main(int, char** argv) {
    const int threads = std::atoi(argv[1]);
    std::printf("{\"triad\": %.6g, \"compares\": %.6g, \"products\": %.6g}\n", triad(threads), compares(threads),
                products(threads));
}
