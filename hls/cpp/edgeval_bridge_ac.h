// Raw bits of ac_types: Quartus, Catapult.

#ifndef EDGEVAL_BRIDGE_AC_H_
#define EDGEVAL_BRIDGE_AC_H_

#include <cstdint>

#include "ac_fixed.h"
#include "ac_int.h"

namespace edgeval {

// slc keeps the sign of the type it is taken of.
template <int W, int I, bool S, ac_q_mode Q, ac_o_mode O>
int64_t raw_of(const ac_fixed<W, I, S, Q, O>& value) {
    return value.template slc<W>(0).to_int64();
}
template <int W, bool S>
int64_t raw_of(const ac_int<W, S>& value) {
    return value.to_int64();
}

template <class T>
void set_raw(T& value, int64_t word) {
    value = 0;  // set_slc reads what is there
    value.set_slc(0, ac_int<T::width, false>(word));
}

}  // namespace edgeval

#include "edgeval_bridge.h"

#endif  // EDGEVAL_BRIDGE_AC_H_
