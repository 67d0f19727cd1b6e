#include "boundlight/bounds/ops/typed.hpp"

#include <algorithm>

namespace boundlight::typed {

Result<std::vector<TypedShape>> same_as_input(const NodeView& node) {
  return std::vector<TypedShape>{{node.inputs[0]->type, node.shape(0)}};
}

std::optional<Shape> broadcast(const Shape& a, const Shape& b) {
  Shape out(std::max(a.size(), b.size()));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1, y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) return std::nullopt;
    out[out.size() - 1 - i] = x == 1 ? y : x;
  }
  return out;
}

std::vector<std::int64_t> broadcast_index(const Shape& in, const Shape& out) {
  const std::int64_t n = element_count(out).value_or(0);
  std::vector<std::int64_t> stride(out.size(), 0);
  std::int64_t step = 1;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const std::size_t from = in.size() - 1 - i;
    stride[out.size() - 1 - i] = in[from] == 1 ? 0 : step;
    step *= in[from];
  }
  std::vector<std::int64_t> index(static_cast<std::size_t>(n)), at(out.size(), 0);
  std::int64_t position = 0;
  for (auto& to : index) {
    to = position;
    for (std::size_t axis = out.size(); axis-- > 0;) {
      position += stride[axis];
      if (++at[axis] < out[axis]) break;
      position -= stride[axis] * out[axis];
      at[axis] = 0;
    }
  }
  return index;
}

Result<std::vector<TypedShape>> broadcast_of_inputs(const NodeView& node) {
  Shape shape = node.shape(0);
  for (std::size_t k = 1; k < node.inputs.size(); ++k) {
    if (node.inputs[k]->type != node.inputs[0]->type)
      return refuse("inputs have different element types (" + std::string(name_of(node.inputs[0]->type)) + " and " + std::string(name_of(node.inputs[k]->type)) + "); insert a Cast");
    const auto next = broadcast(shape, node.shape(k));
    if (!next) return refuse("shapes " + to_string(shape) + " and " + to_string(node.shape(k)) + " do not broadcast");
    shape = *next;
  }
  return std::vector<TypedShape>{{node.inputs[0]->type, shape}};
}

}  // namespace boundlight::typed
