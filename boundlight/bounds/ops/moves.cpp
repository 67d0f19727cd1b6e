#include <cstring>

#include "boundlight/bounds/ops/move_map.hpp"
#include "boundlight/bounds/ops/typed.hpp"

namespace boundlight {
namespace moves {

Result<Move> in_order(const NodeView&) {
  Move m;
  m.identity = true;
  return m;
}

}  // namespace moves

namespace typed {
namespace {

// One element of `fill` as bytes of a type.
std::string element_bytes(DataType type, double fill) { return std::string(Tensor::from_doubles(type, {1}, {fill}).bytes()); }

}  // namespace

Result<std::vector<Tensor>> move_tensors(const NodeView& node, std::span<const Tensor* const> inputs, const std::vector<TypedShape>& shapes,
                                         moves::MoveOf move_of) {
  // The map needs the outputs' shapes; here they come from infer.
  std::vector<NetworkValue> outputs(shapes.size());
  NodeView view = node;
  view.outputs.clear();
  for (std::size_t s = 0; s < shapes.size(); ++s) {
    outputs[s].type = shapes[s].type;
    outputs[s].shape = shapes[s].shape;
    outputs[s].size = element_count(shapes[s].shape).value_or(0);
    view.outputs.push_back(&outputs[s]);
  }
  BL_TRY(move, move_of(view));
  std::vector<Tensor> result;
  for (std::size_t s = 0; s < shapes.size(); ++s) {
    if (move.identity) {
      result.push_back(inputs[0]->reshaped(shapes[s].shape));
      continue;
    }
    const std::size_t width = size_of(shapes[s].type);
    const std::string fill = element_bytes(shapes[s].type, move.fill);
    std::string bytes;
    bytes.reserve(move.outputs[s].size() * width);
    for (const auto& source : move.outputs[s])
      bytes.append(source.input == moves::kConstant ? std::string_view(fill)
                                                    : inputs[static_cast<std::size_t>(source.input)]->bytes().substr(static_cast<std::size_t>(source.element) * width, width));
    result.emplace_back(shapes[s].type, shapes[s].shape, std::move(bytes));
  }
  return result;
}

}  // namespace typed
}  // namespace boundlight
