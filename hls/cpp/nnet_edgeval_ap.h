// edgeval's layers on ap_types: Vivado, Vitis.

#ifndef NNET_EDGEVAL_AP_H_
#define NNET_EDGEVAL_AP_H_

#include "ap_fixed.h"
#include "ap_int.h"

namespace nnet {
namespace edgeval {

template <int BITS>
struct word {
    typedef ap_int<BITS> type;
};

// unused_bits: low bits that a type has but its values do not use; none here.
template <int WIDTH, int UNIT, bool SIGNED>
struct format_of {
    static const int width = WIDTH;
    static const int unit = UNIT;
    static const bool is_signed = SIGNED;
    static const int unused_bits = 0;
};

template <class T>
struct format;
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N>
struct format<ap_fixed<W, I, Q, O, N>> : format_of<W, I - W, true> {};
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N>
struct format<ap_ufixed<W, I, Q, O, N>> : format_of<W, I - W, false> {};
template <int W>
struct format<ap_int<W>> : format_of<W, 0, true> {};
template <int W>
struct format<ap_uint<W>> : format_of<W, 0, false> {};

template <class T>
typename word<format<T>::width + (format<T>::is_signed ? 0 : 1)>::type to_raw(const T& value) {
#pragma HLS INLINE
    const ap_uint<format<T>::width> bits = value.range(format<T>::width - 1, 0);
    return bits;
}

template <class T, int BITS>
T from_raw(const ap_int<BITS>& raw) {
#pragma HLS INLINE
    const ap_uint<format<T>::width> bits = raw;
    T value = 0;
    value.range(format<T>::width - 1, 0) = bits;
    return value;
}

}  // namespace edgeval
}  // namespace nnet

#include "nnet_edgeval.h"

#endif  // NNET_EDGEVAL_AP_H_
