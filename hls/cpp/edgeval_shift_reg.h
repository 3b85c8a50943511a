// ap_shift_reg, the line buffer of hls4ml's streamed convolutions and pools, as a ring: shifting moves no words.
//
// Takes the place of the model with the same interface that hls4ml ships for Vivado, Vitis and Catapult
// (hls/csim/headers.py); that one moves every word of an image row for every pixel and channel.

#ifndef __SIM_AP_SHIFT_REG_H__
#define __SIM_AP_SHIFT_REG_H__

#include <cassert>

template <typename T, unsigned int DEPTH = 32>
class ap_shift_reg {
  public:
    ap_shift_reg() {}
    explicit ap_shift_reg(const char*) {}
    ap_shift_reg(const ap_shift_reg&) = delete;
    ap_shift_reg& operator=(const ap_shift_reg&) = delete;

    // The word at `address`, counted from the newest, before `newest` is put in front of them all.
    T shift(T newest, unsigned int address = DEPTH - 1, bool enable = true) {
        const T found = read(address);
        if (enable) {
            first_ = first_ == 0 ? DEPTH - 1 : first_ - 1;
            words_[first_] = newest;
        }
        return found;
    }

    T read(unsigned int address = DEPTH - 1) const {
        assert(address < DEPTH && "read beyond a shift register");
        const unsigned int place = first_ + address;
        return words_[place < DEPTH ? place : place - DEPTH];
    }

  private:
    T words_[DEPTH];
    unsigned int first_ = 0;  // where the newest word lies
};

#endif  // __SIM_AP_SHIFT_REG_H__
