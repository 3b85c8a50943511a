// Stored words of which some bits are kept three times: a layer gets the majority of those bits, for ap_types. Written
// into a project by hls/hls4ml_flow/hardened.py.

#ifndef NNET_EDGEVAL_TMR_H_
#define NNET_EDGEVAL_TMR_H_

#include "ap_fixed.h"
#include "ap_int.h"

namespace nnet {
namespace edgeval {

// voted[i] is stored[i], but for the bits that mask[i] names: each of those is what at least two of the three hold.
template <class T, unsigned SIZE>
void vote(const T stored[SIZE], const T copy1[SIZE], const T copy2[SIZE], const unsigned long long mask[SIZE],
          T voted[SIZE]) {
VoteWords:
    for (unsigned i = 0; i < SIZE; i++) {
#pragma HLS UNROLL
        const ap_uint<T::width> a = stored[i].range(T::width - 1, 0);
        const ap_uint<T::width> b = copy1[i].range(T::width - 1, 0);
        const ap_uint<T::width> c = copy2[i].range(T::width - 1, 0);
        const ap_uint<T::width> chosen = mask[i];
        const ap_uint<T::width> majority = (a & b) | (a & c) | (b & c);
        T word = 0;
        word.range(T::width - 1, 0) = ap_uint<T::width>((a & ~chosen) | (majority & chosen));
        voted[i] = word;
    }
}

}  // namespace edgeval
}  // namespace nnet

#endif  // NNET_EDGEVAL_TMR_H_
