#include "boundlight/bounds/ops/indices.hpp"

#include <algorithm>

namespace boundlight::indices {

Result<std::vector<std::int64_t>> integers(const NodeView& node, std::size_t k, std::string_view what) {
  if (!node.has(k)) return refuse("needs its " + std::string(what) + " (input " + std::to_string(k + 1) + ")");
  if (node.variable(k)) return refuse("its " + std::string(what) + " (input " + std::to_string(k + 1) + ") must be constant; fix it to a value in the model");
  if (is_floating(node.inputs[k]->type)) return refuse("its " + std::string(what) + " must be integers, they are " + std::string(name_of(node.inputs[k]->type)));
  return node.inputs[k]->constant->to_int64s();
}

Result<std::optional<std::vector<std::int64_t>>> argument(const NodeView& node, const char* attribute, std::size_t k) {
  if (node.has(k)) {
    BL_TRY(values, integers(node, k, attribute));
    return std::optional(std::move(values));
  }
  if (!node.has_attribute(attribute)) return std::optional<std::vector<std::int64_t>>();
  return std::optional(node.integers(attribute));
}

Result<std::vector<std::int64_t>> axes(const std::vector<std::int64_t>& given, std::size_t rank) {
  std::vector<std::int64_t> result;
  for (const std::int64_t a : given) {
    const auto axis = NodeView::axis(a, rank);
    if (!axis) return refuse("axis " + std::to_string(a) + " is outside of a tensor of rank " + std::to_string(rank));
    if (std::count(result.begin(), result.end(), *axis) > 0) return refuse("names axis " + std::to_string(*axis) + " twice");
    result.push_back(*axis);
  }
  return result;
}

std::vector<std::int64_t> strides(const Shape& shape) {
  std::vector<std::int64_t> stride(shape.size(), 1);
  for (std::size_t a = shape.size(); a-- > 1;) stride[a - 1] = stride[a] * shape[a];
  return stride;
}

std::vector<std::int64_t> walk(const Shape& shape, std::int64_t base, const std::vector<std::int64_t>& stride) {
  std::vector<std::int64_t> result;
  result.reserve(static_cast<std::size_t>(element_count(shape).value_or(0)));
  for_each(shape, [&](const std::vector<std::int64_t>& at) {
    std::int64_t e = base;
    for (std::size_t a = 0; a < at.size(); ++a) e += stride[a] * at[a];
    result.push_back(e);
  });
  return result;
}

moves::Move from_first(const std::vector<std::vector<std::int64_t>>& slots) {
  moves::Move m;
  for (const auto& slot : slots) {
    m.outputs.emplace_back();
    m.outputs.back().reserve(slot.size());
    for (const std::int64_t e : slot) m.outputs.back().push_back({0, e});
  }
  return m;
}

Result<std::int64_t> wrapped(std::int64_t index, std::int64_t size) {
  if (index < -size || index >= size) return refuse("index " + std::to_string(index) + " is outside of an axis of " + std::to_string(size));
  return index < 0 ? index + size : index;
}

}  // namespace boundlight::indices
