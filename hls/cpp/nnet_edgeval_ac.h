// edgeval's layers on ac_types: Quartus, Catapult.

#ifndef NNET_EDGEVAL_AC_H_
#define NNET_EDGEVAL_AC_H_

#ifdef __INTELFPGA_COMPILER__
#include "HLS/ac_fixed.h"
#include "HLS/ac_int.h"
#else
#include "ac_fixed.h"
#include "ac_int.h"
#endif

namespace nnet {
namespace edgeval {

template <int BITS>
struct word {
    typedef ac_int<BITS, true> type;
};

// unused_bits: low bits that a type has but its values do not use. hls4ml gives a one-bit unsigned value a type of two
// bits with the binary point where it was, so a second bit appears below the only one there is.
template <int WIDTH, int UNIT, bool SIGNED>
struct format_of {
    static const int width = WIDTH;
    static const int unit = UNIT;
    static const bool is_signed = SIGNED;
    static const int unused_bits = WIDTH == 2 && !SIGNED ? 1 : 0;
};

template <class T>
struct format;
template <int W, int I, bool S, ac_q_mode Q, ac_o_mode O>
struct format<ac_fixed<W, I, S, Q, O>> : format_of<W, I - W, S> {};
template <int W, bool S>
struct format<ac_int<W, S>> : format_of<W, 0, S> {};

template <class T>
typename word<format<T>::width + (format<T>::is_signed ? 0 : 1)>::type to_raw(const T& value) {
    return value.template slc<format<T>::width>(0);
}

template <class T, int BITS>
T from_raw(const ac_int<BITS, true>& raw) {
    T value = 0;
    value.set_slc(0, raw.template slc<format<T>::width>(0));
    return value;
}

}  // namespace edgeval
}  // namespace nnet

#include "nnet_edgeval.h"

#endif  // NNET_EDGEVAL_AC_H_
