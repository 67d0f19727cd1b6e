#include "boundlight/bounds/ops/makers.hpp"

namespace boundlight::BL_NS {

#define BL_OP(name) extern const KernelMakers name##_makers;
#include "boundlight/bounds/ops/all_ops.def"
#undef BL_OP

const KernelMakers* find_makers(std::string_view name) {
  static const KernelMakers* const all[] = {
#define BL_OP(name) &name##_makers,
#include "boundlight/bounds/ops/all_ops.def"
#undef BL_OP
  };
  for (const auto* m : all)
    if (name == m->name && m->make_float) return m;
  return nullptr;
}

}  // namespace boundlight::BL_NS
