// Pad: elements put around a tensor, or (negative) taken off: a constant, the border reflected, repeated, or wrapped around.
// pads and value are attributes until version 10, inputs since 11; axes since 18; wrap since 19. Taking off comes first.
#include <algorithm>

#include "boundlight/bounds/ops/indices.hpp"
#include "boundlight/bounds/ops/moves.hpp"

namespace boundlight::moves {
Result<Move> pad(const NodeView& node);
}

#ifdef BL_ONCE
namespace boundlight {
namespace {

struct Margins {
  std::vector<std::int64_t> before, after;  // per axis
};

Result<Margins> margins(const NodeView& node) {
  const Shape& in = node.shape(0);
  BL_TRY(pads, indices::argument(node, "pads", 1));
  if (!pads) return refuse("needs its pads");
  std::vector<std::int64_t> axes;
  for (std::size_t a = 0; a < in.size(); ++a) axes.push_back(static_cast<std::int64_t>(a));
  if (node.has(3)) {
    BL_TRY(given, indices::integers(node, 3, "axes"));
    BL_TRY(some, indices::axes(given, in.size()));
    axes = some;
  }
  if (pads->size() != 2 * axes.size()) return refuse("has " + std::to_string(pads->size()) + " pads for " + std::to_string(axes.size()) + " axes; it needs two each");
  Margins m{std::vector<std::int64_t>(in.size(), 0), std::vector<std::int64_t>(in.size(), 0)};
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto a = static_cast<std::size_t>(axes[i]);
    m.before[a] = (*pads)[i];
    m.after[a] = (*pads)[i + axes.size()];
    for (const std::int64_t p : {m.before[a], m.after[a]})
      if (p > (std::int64_t{1} << 40) || p < -in[a]) return refuse("pads axis " + std::to_string(a) + " of shape " + to_string(in) + " by " + std::to_string(p));
  }
  return m;
}

Result<std::vector<TypedShape>> infer(const NodeView& node) {
  BL_TRY(m, margins(node));
  const Shape& in = node.shape(0);
  const std::string mode = node.text("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap") return refuse("mode '" + mode + "' is not known; constant, reflect, edge and wrap are");
  if (node.has(2) && (node.inputs[2]->type != node.inputs[0]->type || node.size(2) != 1)) return refuse("its constant_value must be one element of the data's type");
  Shape out;
  for (std::size_t a = 0; a < in.size(); ++a) {
    const std::int64_t kept = in[a] + std::min<std::int64_t>(0, m.before[a]) + std::min<std::int64_t>(0, m.after[a]);
    out.push_back(in[a] + m.before[a] + m.after[a]);
    if (kept < 0) return refuse("takes more off axis " + std::to_string(a) + " than shape " + to_string(in) + " has");
    if (mode != "constant" && kept == 0 && out[a] > 0) return refuse("has nothing to repeat along axis " + std::to_string(a));
  }
  return std::vector<TypedShape>{{node.inputs[0]->type, out}};
}

// Where position p (0 is the first kept element) of an axis with n kept elements reads; -1: the constant.
std::int64_t source(std::string_view mode, std::int64_t p, std::int64_t n) {
  if (p >= 0 && p < n) return p;
  if (mode == "edge") return std::clamp<std::int64_t>(p, 0, n - 1);
  if (mode == "wrap") return (p % n + n) % n;
  if (mode != "reflect") return -1;
  if (n == 1) return 0;
  const std::int64_t period = 2 * (n - 1), q = (p % period + period) % period;
  return std::min(q, period - q);
}

}  // namespace

Result<moves::Move> moves::pad(const NodeView& node) {
  BL_TRY(margin, margins(node));
  const Shape& in = node.shape(0);
  const auto stride = indices::strides(in);
  const std::string mode = node.text("mode", "constant");
  moves::Move m;
  m.fill = node.real("value", 0);
  const moves::Source constant = node.has(2) ? moves::Source{2, 0} : moves::Source{moves::kConstant, 0};
  m.outputs.emplace_back();
  indices::for_each(node.outputs[0]->shape, [&](const std::vector<std::int64_t>& at) {
    std::int64_t e = 0;
    bool inside = true;
    for (std::size_t a = 0; a < at.size(); ++a) {
      const std::int64_t off = std::max<std::int64_t>(0, -margin.before[a]);  // taken off in front
      const std::int64_t kept = in[a] - off + std::min<std::int64_t>(0, margin.after[a]);
      const std::int64_t p = source(mode, at[a] - std::max<std::int64_t>(0, margin.before[a]), kept);
      inside = inside && p >= 0;
      e += (p + off) * stride[a];
    }
    m.outputs[0].push_back(inside ? moves::Source{0, e} : constant);
  });
  return m;
}

extern const OpInfo Pad_op;
const OpInfo Pad_op = {"Pad", "mode:s pads:I value:f", infer, typed::moved<infer, moves::pad>, "all", "yes", "inputs and weights", "exact range", "exact", "exact", 1, 4};

}  // namespace boundlight
#endif
BL_REGISTER_MOVE(Pad, moves::pad)
