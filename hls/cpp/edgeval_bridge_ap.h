// Raw bits of ap_types: Vivado, Vitis.

#ifndef EDGEVAL_BRIDGE_AP_H_
#define EDGEVAL_BRIDGE_AP_H_

#include <cstdint>

#include "ap_fixed.h"
#include "ap_int.h"

namespace edgeval {

template <int W, bool S>
int64_t extended(uint64_t bits) {
    const uint64_t sign = uint64_t{1} << (W - 1);
    return S && (bits & sign) ? static_cast<int64_t>(bits | ~(sign * 2 - 1)) : static_cast<int64_t>(bits);
}

template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O, int N>
int64_t raw_of(const ap_fixed_base<W, I, S, Q, O, N>& value) {
    return extended<W, S>(value.range(W - 1, 0).to_uint64());
}
template <int W, bool S>
int64_t raw_of(const ap_int_base<W, S>& value) {
    return extended<W, S>(value.range(W - 1, 0).to_uint64());
}

template <class T>
void set_raw(T& value, int64_t word) {
    value.range(T::width - 1, 0) = static_cast<uint64_t>(word);
}

}  // namespace edgeval

#include "edgeval_bridge.h"

#endif  // EDGEVAL_BRIDGE_AP_H_
