// Squeeze: the same elements without axes of size 1 (all of them, or those named).
#include <algorithm>

#include "boundlight/bounds/ops/indices.hpp"
#include "boundlight/bounds/ops/moves.hpp"

#ifdef BL_ONCE
namespace boundlight {
namespace {

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  const Shape& in = node.shape(0);
  BL_TRY(given, indices::argument(node, "axes", 1));
  Shape out;
  if (!given) {
    std::copy_if(in.begin(), in.end(), std::back_inserter(out), [](std::int64_t d) { return d != 1; });
    return std::vector<TypedShape>{{node.inputs[0]->type, out}};
  }
  BL_TRY(axes, indices::axes(*given, in.size()));
  for (std::size_t a = 0; a < in.size(); ++a) {
    if (std::count(axes.begin(), axes.end(), static_cast<std::int64_t>(a)) == 0) out.push_back(in[a]);
    else if (in[a] != 1) return refuse("axis " + std::to_string(a) + " of shape " + to_string(in) + " is not of size 1");
  }
  return std::vector<TypedShape>{{node.inputs[0]->type, out}};
}

}  // namespace

extern const OpInfo Squeeze_op;
const OpInfo Squeeze_op = {"Squeeze", "axes:I", infer, typed::moved<infer, moves::in_order>, "all", "yes", "inputs", "exact range", "exact", "exact", 1, 2};

}  // namespace boundlight
#endif
BL_REGISTER_MOVE(Squeeze, moves::in_order)
