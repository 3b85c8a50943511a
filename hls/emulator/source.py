"""The generated files of a package: the one translation unit, the C header, the version script, Makefile and README.

What is the same for every package is in ``hls/cpp/edgeval_emulator*``; here are names, types, sizes and scales.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hls.emulator.names import EmulatorName
from hls.graph import IntegerGraph
from hls.hls4ml_flow.manifest import Manifest, Port

SOURCE_FILE = "emulator.cpp"
VERSION_SCRIPT = "emulator.map"
OWN_STACK_ABOVE_BYTES = 256 * 1024
"""Larger stacks than this run in a thread of their own: a caller's may be a few MiB, most of it in use."""
_STACK_BASE_BYTES = 64 * 1024 * 1024
_BYTES_A_WORD = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What the files are made of.

    Attributes:
        outer: Headers included before the model's namespace.
        network_digest: Of the integer network.
    """

    name: EmulatorName
    graph: IntegerGraph
    manifest: Manifest
    outer: tuple[str, ...]
    network_digest: str

    def files(self) -> dict[str, str]:
        """Text of every generated file, by name."""
        return {
            SOURCE_FILE: self._translation_unit(),
            f"{self.name.stem}.h": self._fill(_C_HEADER),
            VERSION_SCRIPT: "{ global: " + " ".join(f"{name};" for name in self.name.symbols) + " local: *; };\n",
            "Makefile": self._fill(_MAKEFILE),
            "README.md": self._fill(_README),
        }

    def _fill(self, template: str) -> str:
        for key, value in {
            "stem": self.name.stem,
            "name": self.name.name,
            "version": self.name.version,
            "namespace": self.name.namespace,
            "inputs": str(self.manifest.input.size),
            "outputs": str(self.manifest.output.size),
            "digest": self.network_digest,
        }.items():
            template = template.replace(f"@{key}@", value)
        return template

    def _translation_unit(self) -> str:
        manifest, quantizer = self.manifest, self.graph.quantizer
        scales = np.broadcast_to(self.graph.output_scale, self.graph.values[self.graph.output].shape).reshape(-1)
        word_format = quantizer.format
        fields = {
            "outer": "\n".join(f"#if __has_include(<{name}>)\n#include <{name}>\n#endif" for name in self.outer),
            "project": manifest.project,
            "input_type": manifest.input.cpp_type,
            "output_type": manifest.output.cpp_type,
            "input_signed": _truth(manifest.input.signed),
            "output_signed": _truth(manifest.output.signed),
            "input_width": str(manifest.input.width_bits),
            "output_width": str(manifest.output.width_bits),
            "quantizer_minimum": _literal(word_format.quantizer_minimum),
            "input_minimum": _literal(word_format.minimum),
            "input_maximum": _literal(word_format.maximum),
            "input_scale": float(np.asarray(quantizer.scale)).hex(),
            "half_even": _truth(quantizer.rounding == "half_even"),
            "output_scales": ", ".join(float(scale).hex() for scale in scales),
            "own_stack_bytes": str(own_stack_bytes(manifest)),
            "input_port": _port(manifest, manifest.input, "input_port"),
            "output_port": _port(manifest, manifest.output, "output_port"),
        }
        text = _TRANSLATION_UNIT
        for key, value in fields.items():
            text = text.replace(f"@{key}@", value)
        return self._fill(text)


def own_stack_bytes(manifest: Manifest) -> int:
    """Stack of the thread a network runs in, 0 where the caller's own is enough."""
    words = manifest.products_on_stack + 2 * (
        sum(tap.size for tap in manifest.taps) + manifest.input.size + manifest.output.size
    )
    needed = _BYTES_A_WORD * words
    return _STACK_BASE_BYTES + needed if needed > OWN_STACK_ABOVE_BYTES else 0


def _port(manifest: Manifest, port: Port, name: str) -> str:
    if manifest.io_type == "io_stream":
        return f'hls::stream<{port.cpp_type}> {name}("{name}")'
    return f"{port.cpp_type} {name}[{port.size}]"


def _truth(value: bool) -> str:  # noqa: FBT001  # the value, not a switch
    return "true" if value else "false"


def _literal(word: int) -> str:
    return f"INT64_C({word})"


_TRANSLATION_UNIT = """\
// @name@ version @version@, written by edgeval; network @digest@.
#define EDGEVAL_NAMESPACE @namespace@
#define EDGEVAL_EMULATOR

// What the project includes from outside itself, before the model's namespace is opened: inside it, the include guards
// make these lines of the project do nothing.
@outer@

#include "edgeval_emulator.h"
#include "@stem@.h"

namespace @namespace@ {

#include "firmware/@project@.cpp"

struct Network {
    using Input = emulator::Element<@input_type@>::type;
    using Output = emulator::Element<@output_type@>::type;
    static_assert(Input::width == @input_width@ && Output::width == @output_width@,
                  "the generated types are not as wide as the integer network says");
    static constexpr const char* name = "@stem@";
    static constexpr size_t input_size = @inputs@;
    static constexpr size_t output_size = @outputs@;
    static constexpr bool input_signed = @input_signed@;
    static constexpr bool output_signed = @output_signed@;
    static constexpr int64_t quantizer_minimum = @quantizer_minimum@;
    static constexpr int64_t input_minimum = @input_minimum@;
    static constexpr int64_t input_maximum = @input_maximum@;
    static constexpr double input_scale = @input_scale@;
    static constexpr bool half_even = @half_even@;
    static constexpr size_t own_stack_bytes = @own_stack_bytes@;

    static double output_scale(size_t i) {
        static constexpr double scales[output_size] = {@output_scales@};
        return scales[i];
    }

    static void run(const Input* inputs, Output* outputs) {
        @input_port@;
        @output_port@;
        nnet::convert_data<const Input, @input_type@, input_size>(inputs, input_port);
        @project@(input_port, output_port);
        nnet::convert_data<@output_type@, Output, output_size>(output_port, outputs);
    }
};

}  // namespace @namespace@

// The version script lets these names out of the library, and no others.
#define EDGEVAL_EXPORT extern "C" __attribute__((visibility("default")))

EDGEVAL_EXPORT hls4mlEmulator::Model* create_model() {
    return new @namespace@::emulator::EmulatedModel<@namespace@::Network>();
}

EDGEVAL_EXPORT void destroy_model(hls4mlEmulator::Model* model) { delete model; }

EDGEVAL_EXPORT int64_t @namespace@_infer(const int64_t* words, int64_t* outputs, size_t samples) {
    return @namespace@::emulator::infer<@namespace@::Network>(words, outputs, samples);
}

EDGEVAL_EXPORT int64_t @namespace@_infer_values(const double* values, double* outputs, size_t samples) {
    return @namespace@::emulator::infer<@namespace@::Network>(values, outputs, samples);
}

EDGEVAL_EXPORT const @namespace@_description* @namespace@_describe(void) {
    static const @namespace@_description description = {1, @inputs@, @outputs@, "@name@", "@version@", "@digest@"};
    return &description;
}
"""

_C_HEADER = """\
/* C interface of @name@ version @version@, written by edgeval. Safe to call from several threads at once. */

#ifndef EDGEVAL_@stem@_H_
#define EDGEVAL_@stem@_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { @namespace@_inputs = @inputs@, @namespace@_outputs = @outputs@ };

/* Integer words: samples * @inputs@ in, samples * @outputs@ out, sample after sample.
   Returns 0, 1 + the index of the first sample with a word outside the input format, -1 for a null pointer, -2 for a
   failure. Outputs of the samples before a refused one are written. */
int64_t @namespace@_infer(const int64_t* words, int64_t* outputs, size_t samples);

/* Real values, quantized as the network's input quantizer does; outputs are scale * word.
   Returns as above; refused is a NaN or an infinity. */
int64_t @namespace@_infer_values(const double* values, double* outputs, size_t samples);

typedef struct {
    int64_t interface_version; /* of this header: 1 */
    int64_t inputs;            /* numbers a sample */
    int64_t outputs;
    const char* name;
    const char* version;
    const char* network; /* sha256 of the integer network */
} @namespace@_description;

const @namespace@_description* @namespace@_describe(void);

#ifdef __cplusplus
}
#endif

#endif
"""

_MAKEFILE = """\
# @name@ version @version@, written by edgeval. `make` builds @stem@.so; `make check` runs golden vectors through it.

CXX ?= g++
CXXFLAGS ?= -O3
# An installed hls4mlEmulatorExtras: its hls4ml/emulator.h and, where it has them, its ap_types are used. Without one,
# edgeval_emulator_interface.h declares the same class.
EMULATOR_EXTRAS ?=
INCLUDED := $(if $(EMULATOR_EXTRAS),$(EMULATOR_EXTRAS)/include)
# The ap_types of your own software, where callers hand over ap_fixed elements.
AP_TYPES ?= $(or $(and $(INCLUDED),$(wildcard $(INCLUDED)/ap_types)),firmware/ap_types)
# Where `make install` puts lib64/@stem@.so and include/@stem@.h.
PREFIX ?=
# Nothing is exported but the names in emulator.map; edgeval refuses a library built otherwise.
HIDDEN ?= -fvisibility=hidden -fvisibility-inlines-hidden
EXPORTS ?= -Wl,--version-script=emulator.map

CHECKED := -Wl,--no-undefined
FLAGS := -std=c++17 -fPIC -pthread $(addprefix -I,$(INCLUDED))
HEADERS := $(wildcard *.h) $(wildcard firmware/*.cpp firmware/*.h firmware/*/*.h firmware/*/*/*.h)

.DEFAULT_GOAL := all
.PHONY: all check install clean

all: @stem@.so

@stem@.so: emulator.cpp emulator.map $(HEADERS)
\t$(CXX) $(FLAGS) $(HIDDEN) $(CXXFLAGS) -I. -isystem $(AP_TYPES) -shared emulator.cpp -o $@ $(EXPORTS) $(CHECKED)

test_emulator: test_emulator.cpp edgeval_emulator_interface.h
\t$(CXX) $(FLAGS) -O1 -I. test_emulator.cpp -o $@ -ldl

check: @stem@.so test_emulator
\tsha256sum --check --quiet SHA256SUMS
\t./test_emulator ./@stem@.so

install: @stem@.so
\t$(if $(PREFIX),,$(error make install needs PREFIX=folder))
\tmkdir -p $(PREFIX)/lib64 $(PREFIX)/include
\tcp @stem@.so $(PREFIX)/lib64
\tcp @stem@.h $(PREFIX)/include

clean:
\trm -f @stem@.so test_emulator
"""

_README = """\
# @name@ version @version@

A quantized network as a shared library: the C++ that hls4ml wrote for it, with the weights inside. Written by edgeval;
`manifest.json` says of what, with which tools, and which words go in and come out.

```
make          # @stem@.so; needs a C++17 compiler and nothing else
make check    # the golden vectors through it, word by word
make install PREFIX=…
```

**CMS software.** `hls4mlEmulator::ModelLoader("…/@stem@")` loads it; `make EMULATOR_EXTRAS=…` builds
it against the header and the ap_types of an installed hls4mlEmulatorExtras. `prepare_input` takes a `std::any` of words
(`const int64_t*`), real values (`const double*`, `const float*`) or elements of the network's own `ap_fixed` type, each
to @inputs@ numbers, or a pointer to a `std::array` of them; `read_result` fills `int64_t*` (words), `double*` (scale ×
word) or elements, @outputs@ of them. Any other type is a `std::exception` that says what is allowed.

**Any other software.** `@stem@.h` is the C interface: `@namespace@_infer` and `@namespace@_infer_values`.

The library exports `create_model`, `destroy_model` and its C functions and nothing else, and all its C++ is in
namespace `@namespace@`: any number of models can be loaded into one process. `./test_emulator A/A.so B/B.so` tries
that, with `--global` in the way that shares most.
"""
