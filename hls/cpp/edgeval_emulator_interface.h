// The interface by which CMS software loads an emulator: upstream's header where it is on the include path, else a
// declaration of our own of the same class. Same namespace, same order of virtual functions, so both give one layout.
// Source: cms-hls4ml/hls4mlEmulatorExtras, include/hls4ml/emulator.h.

#ifndef EDGEVAL_EMULATOR_INTERFACE_H_
#define EDGEVAL_EMULATOR_INTERFACE_H_

#if __has_include(<hls4ml/emulator.h>)
#include <hls4ml/emulator.h>
#else

#include <any>

namespace hls4mlEmulator {

class Model {
  public:
    virtual void prepare_input(std::any input) = 0;
    virtual void predict() = 0;
    virtual void read_result(std::any result) = 0;
    virtual ~Model() = default;
};

typedef Model* create_model_cls();
typedef void destroy_model_cls(Model*);

}  // namespace hls4mlEmulator

#endif

#endif  // EDGEVAL_EMULATOR_INTERFACE_H_
