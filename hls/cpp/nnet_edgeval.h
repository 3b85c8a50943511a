// The layers edgeval adds to hls4ml, for every back end: thresholds, requantization by a multiplier, lookup tables and
// sums of two scaled branches. Everything is computed on raw words, in integers exactly as wide as needed.
//
// Do not include this file itself but nnet_edgeval_ap.h (Vivado, Vitis) or nnet_edgeval_ac.h (Quartus, Catapult), which
// first define, for their number types:
//     word<BITS>::type       a signed integer
//     format<T>              width, unit (log2 of the value of the lowest bit), is_signed, unused_bits (see there)
//     to_raw(x)              the bits of x as word<width + 1 - is_signed>
//     from_raw<T>(w)         the T whose bits are the low bits of w
//
// CONFIG_T comes from hls/hls4ml_flow/extension/templates.py. Channels are the last axis; a layer has the same
// constants for all of them (n_channels is 1) or some for each.

#ifndef NNET_EDGEVAL_H_
#define NNET_EDGEVAL_H_

#ifdef __INTELFPGA_COMPILER__
#define NNET_EDGEVAL_UNROLL _Pragma("unroll")
#else
#define NNET_EDGEVAL_UNROLL
#endif

namespace nnet {
namespace edgeval {

template <int A, int B>
struct larger {
    static const int value = A > B ? A : B;
};

// Words of type T where one word is worth 2**UNIT: no finer than the type, and coarser only by bits it never uses.
template <class T, int UNIT>
struct words {
    static const int up = format<T>::unit > UNIT ? format<T>::unit - UNIT : 0;
    static const int down = UNIT > format<T>::unit ? UNIT - format<T>::unit : 0;
    static const int raw_bits = format<T>::width + (format<T>::is_signed ? 0 : 1);
    static const int bits = raw_bits + up - down;
    typedef typename word<bits>::type type;

    static type get(const T& value) {
#pragma HLS INLINE
        const typename word<raw_bits + up>::type raw = to_raw(value);
        return static_cast<type>((raw << up) >> down);
    }

    // A word that fits T, or the low bits of one that does not.
    template <class word_T>
    static T put(const word_T& value) {
#pragma HLS INLINE
        static_assert(up == 0 && down <= format<T>::unused_bits, "the result's type is not the one the node names");
        const typename word<raw_bits>::type raw = value;
        return from_raw<T>(static_cast<typename word<raw_bits>::type>(raw << down));
    }
};

template <class T, int UNIT>
struct require_unit {
    static_assert(words<T, UNIT>::down <= format<T>::unused_bits,
                  "the input's type is finer than the node's in_unit: its words would not be whole");
    static const bool value = true;
};

template <class CONFIG_T>
unsigned channel_of(unsigned element) {
#pragma HLS INLINE
    return CONFIG_T::n_channels == 1 ? 0 : element % CONFIG_T::n_channels;
}

// offset + move * count(thresholds <= value), where move is stride or -stride. Values and thresholds are compared at
// the finer of their units, so a threshold may lie between two values.
template <class data_T, class res_T, typename CONFIG_T, class threshold_T>
res_T threshold_one(const data_T& value, const threshold_T* thresholds, unsigned channel) {
#pragma HLS INLINE
    const int unit =
        format<data_T>::unit < format<threshold_T>::unit ? format<data_T>::unit : format<threshold_T>::unit;
    const typename words<data_T, unit>::type input = words<data_T, unit>::get(value);
    typename word<CONFIG_T::count_bits>::type count = 0;
ThresholdSteps:
    NNET_EDGEVAL_UNROLL
    for (unsigned step = 0; step < CONFIG_T::n_steps; step++) {
#pragma HLS UNROLL
        if (words<threshold_T, unit>::get(thresholds[channel * CONFIG_T::n_steps + step]) <= input) count += 1;
    }
    const int bits = larger<CONFIG_T::count_bits + CONFIG_T::move_bits, CONFIG_T::offset_bits>::value + 1;
    typename word<bits>::type result = count * CONFIG_T::move(channel);
    result += CONFIG_T::offset(channel);
    return words<res_T, CONFIG_T::out_unit>::put(result);
}

// clip(round((word * multiplier + offset) / 2**shift), low, high), ties to even.
template <class data_T, class res_T, typename CONFIG_T>
res_T requantize_one(const data_T& value, unsigned channel) {
#pragma HLS INLINE
    typedef words<data_T, CONFIG_T::in_unit> input;
    static_assert(require_unit<data_T, CONFIG_T::in_unit>::value, "");
    const int sum_bits = larger<input::bits + CONFIG_T::multiplier_bits, CONFIG_T::offset_bits>::value + 1;
    // Wide enough for the bit below the binary point and for the bounds, whatever the shift.
    const int bits = larger<larger<sum_bits, CONFIG_T::largest_shift + 2>::value, CONFIG_T::bound_bits + 1>::value;
    typedef typename word<bits>::type sum_t;
    const int shift = static_cast<int>(CONFIG_T::shift(channel));

    sum_t sum = input::get(value) * CONFIG_T::multiplier(channel);
    sum += CONFIG_T::offset(channel);
    sum_t result = sum >> shift;
    if (shift > 0) {
        const sum_t one = 1;
        const sum_t below_half = static_cast<sum_t>(one << (shift - 1)) - 1;
        const bool half = ((sum >> (shift - 1)) & 1) != 0;
        const bool more = (sum & below_half) != 0;
        const bool odd = (result & 1) != 0;
        if (half && (more || odd)) result += 1;
    }
    const sum_t low = CONFIG_T::low(0);
    const sum_t high = CONFIG_T::high(0);
    if (result < low) result = low;
    if (result > high) result = high;
    return words<res_T, CONFIG_T::out_unit>::put(result);
}

// table[word - first]. The table has an entry for every word the input's type holds, so nothing is clipped.
template <class data_T, class res_T, typename CONFIG_T, class table_T>
res_T lookup_one(const data_T& value, const table_T* table, unsigned channel) {
#pragma HLS INLINE
    typedef words<data_T, CONFIG_T::in_unit> input;
    static_assert(require_unit<data_T, CONFIG_T::in_unit>::value, "");
    static_assert(input::bits <= 32, "a table of more than 2**31 entries");
    static const long long smallest = format<data_T>::is_signed ? -(1LL << (input::bits - 1)) : 0;
    static const long long largest = (1LL << (input::bits - 1)) - 1;
    static_assert(
        CONFIG_T::first <= smallest && largest < CONFIG_T::first + static_cast<long long>(CONFIG_T::n_entries),
        "the table has to have an entry for every word of the input's type");
    typename word<input::bits + 2>::type index = input::get(value);
    index -= static_cast<int>(CONFIG_T::first);
    return table[channel * CONFIG_T::n_entries + static_cast<unsigned>(index.to_uint())];
}

// word0 * scale0 + word1 * scale1, of which the result's type keeps the low bits.
template <class data0_T, class data1_T, class res_T, typename CONFIG_T>
res_T scaled_add_one(const data0_T& value0, const data1_T& value1) {
#pragma HLS INLINE
    typedef words<data0_T, CONFIG_T::in_unit0> input0;
    typedef words<data1_T, CONFIG_T::in_unit1> input1;
    static_assert(require_unit<data0_T, CONFIG_T::in_unit0>::value, "");
    static_assert(require_unit<data1_T, CONFIG_T::in_unit1>::value, "");
    const int bits = larger<input0::bits + CONFIG_T::scale0_bits, input1::bits + CONFIG_T::scale1_bits>::value + 1;
    typename word<bits>::type sum = input0::get(value0) * CONFIG_T::scale0(0);
    sum += input1::get(value1) * CONFIG_T::scale1(0);
    return words<res_T, CONFIG_T::out_unit>::put(sum);
}

// Arrays (io_parallel).

template <class data_T, class res_T, typename CONFIG_T, class threshold_T>
void threshold(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in],
               const threshold_T thresholds[CONFIG_T::n_channels * CONFIG_T::n_steps]) {
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = thresholds complete
ThresholdElements:
    NNET_EDGEVAL_UNROLL
    for (unsigned i = 0; i < CONFIG_T::n_in; i++) {
        res[i] = threshold_one<data_T, res_T, CONFIG_T>(data[i], thresholds, channel_of<CONFIG_T>(i));
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void requantize(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in]) {
#pragma HLS PIPELINE
RequantizeElements:
    NNET_EDGEVAL_UNROLL
    for (unsigned i = 0; i < CONFIG_T::n_in; i++) {
        res[i] = requantize_one<data_T, res_T, CONFIG_T>(data[i], channel_of<CONFIG_T>(i));
    }
}

template <class data_T, class res_T, typename CONFIG_T, class table_T>
void lookup(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in],
            const table_T table[CONFIG_T::n_channels * CONFIG_T::n_entries]) {
#pragma HLS PIPELINE
LookupElements:
    NNET_EDGEVAL_UNROLL
    for (unsigned i = 0; i < CONFIG_T::n_in; i++) {
        res[i] = lookup_one<data_T, res_T, CONFIG_T>(data[i], table, channel_of<CONFIG_T>(i));
    }
}

template <class data0_T, class data1_T, class res_T, typename CONFIG_T>
void scaled_add(data0_T data0[CONFIG_T::n_in], data1_T data1[CONFIG_T::n_in], res_T res[CONFIG_T::n_in]) {
#pragma HLS PIPELINE
ScaledAddElements:
    NNET_EDGEVAL_UNROLL
    for (unsigned i = 0; i < CONFIG_T::n_in; i++) {
        res[i] = scaled_add_one<data0_T, data1_T, res_T, CONFIG_T>(data0[i], data1[i]);
    }
}

// Streams (io_stream). data_T and res_T are packets, nnet::array of the words along the last axis; the streams are
// hls::stream, ac_channel or nnet::stream. A flattened stream still comes in the packets of what was flattened, so
// input and output packets may differ in size.

template <class data_T, class res_T, typename CONFIG_T>
struct packets_fit {
    static_assert(res_T::size % CONFIG_T::n_channels == 0, "an output packet has to hold whole pixels");
    static_assert(res_T::size % data_T::size == 0, "an output packet has to hold whole input packets");
    static const bool value = true;
};

template <class data_T, class res_T, typename CONFIG_T, class in_T, class out_T, class threshold_T>
void threshold_stream(in_T& data, out_T& res, const threshold_T* thresholds) {
    static_assert(packets_fit<data_T, res_T, CONFIG_T>::value, "");
ThresholdPackets:
    for (unsigned packet = 0; packet < CONFIG_T::n_in / res_T::size; packet++) {
#pragma HLS PIPELINE
        res_T results;
    ThresholdParts:
        for (unsigned part = 0; part < res_T::size; part += data_T::size) {
            const data_T values = data.read();
        ThresholdElements:
            NNET_EDGEVAL_UNROLL
            for (unsigned i = 0; i < data_T::size; i++) {
#pragma HLS UNROLL
                results[part + i] = threshold_one<typename data_T::value_type, typename res_T::value_type, CONFIG_T>(
                    values[i], thresholds, channel_of<CONFIG_T>(part + i));
            }
        }
        res.write(results);
    }
}

template <class data_T, class res_T, typename CONFIG_T, class in_T, class out_T>
void requantize_stream(in_T& data, out_T& res) {
    static_assert(packets_fit<data_T, res_T, CONFIG_T>::value, "");
RequantizePackets:
    for (unsigned packet = 0; packet < CONFIG_T::n_in / res_T::size; packet++) {
#pragma HLS PIPELINE
        res_T results;
    RequantizeParts:
        for (unsigned part = 0; part < res_T::size; part += data_T::size) {
            const data_T values = data.read();
        RequantizeElements:
            NNET_EDGEVAL_UNROLL
            for (unsigned i = 0; i < data_T::size; i++) {
#pragma HLS UNROLL
                results[part + i] = requantize_one<typename data_T::value_type, typename res_T::value_type, CONFIG_T>(
                    values[i], channel_of<CONFIG_T>(part + i));
            }
        }
        res.write(results);
    }
}

template <class data_T, class res_T, typename CONFIG_T, class in_T, class out_T, class table_T>
void lookup_stream(in_T& data, out_T& res, const table_T* table) {
    static_assert(packets_fit<data_T, res_T, CONFIG_T>::value, "");
LookupPackets:
    for (unsigned packet = 0; packet < CONFIG_T::n_in / res_T::size; packet++) {
#pragma HLS PIPELINE
        res_T results;
    LookupParts:
        for (unsigned part = 0; part < res_T::size; part += data_T::size) {
            const data_T values = data.read();
        LookupElements:
            NNET_EDGEVAL_UNROLL
            for (unsigned i = 0; i < data_T::size; i++) {
#pragma HLS UNROLL
                results[part + i] = lookup_one<typename data_T::value_type, typename res_T::value_type, CONFIG_T>(
                    values[i], table, channel_of<CONFIG_T>(part + i));
            }
        }
        res.write(results);
    }
}

template <class data0_T, class data1_T, class res_T, typename CONFIG_T, class in0_T, class in1_T, class out_T>
void scaled_add_stream(in0_T& data0, in1_T& data1, out_T& res) {
    static_assert(data0_T::size == data1_T::size, "both streams have to come in packets of one size");
    static_assert(packets_fit<data0_T, res_T, CONFIG_T>::value, "");
ScaledAddPackets:
    for (unsigned packet = 0; packet < CONFIG_T::n_in / res_T::size; packet++) {
#pragma HLS PIPELINE
        res_T results;
    ScaledAddParts:
        for (unsigned part = 0; part < res_T::size; part += data0_T::size) {
            const data0_T values0 = data0.read();
            const data1_T values1 = data1.read();
        ScaledAddElements:
            NNET_EDGEVAL_UNROLL
            for (unsigned i = 0; i < data0_T::size; i++) {
#pragma HLS UNROLL
                results[part + i] = scaled_add_one<typename data0_T::value_type, typename data1_T::value_type,
                                                   typename res_T::value_type, CONFIG_T>(values0[i], values1[i]);
            }
        }
        res.write(results);
    }
}

}  // namespace edgeval
}  // namespace nnet

#endif  // NNET_EDGEVAL_H_
