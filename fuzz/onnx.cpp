// The ONNX reader: any bytes are a graph that holds its invariants, or an error of one sentence.
#include <cstddef>
#include <cstdint>

#include "boundlight/models/onnx.hpp"
#include "fuzz/expect.hpp"

using namespace boundlight;

namespace {

void check_graph(const Graph& graph) {
  const auto values = static_cast<ValueId>(graph.values.size());
  const auto inside = [&](ValueId id) { return id >= 0 && id < values; };
  std::vector<bool> made(graph.values.size(), false);
  for (const ValueId id : graph.inputs) {
    fuzz::expect(inside(id), "an input out of range");
    made[static_cast<std::size_t>(id)] = true;
  }
  for (std::size_t v = 0; v < graph.values.size(); ++v) {
    if (!graph.values[v].constant) continue;
    made[v] = true;
    const Tensor& t = *graph.values[v].constant;
    fuzz::expect(t.bytes().size() == static_cast<std::size_t>(t.size()) * size_of(t.type()), "a constant's bytes");
    fuzz::expect(t.to_doubles().size() == static_cast<std::size_t>(t.size()), "a constant's numbers");
  }
  for (const Node& node : graph.nodes) {
    fuzz::expect(graph.place(node).find('\n') == std::string::npos, "a place of several lines");
    for (const ValueId id : node.inputs) fuzz::expect(id == kAbsent || (inside(id) && made[static_cast<std::size_t>(id)]), "a node before its inputs");
    for (const ValueId id : node.outputs) {
      if (id == kAbsent) continue;
      fuzz::expect(inside(id) && !made[static_cast<std::size_t>(id)], "a value made twice");
      made[static_cast<std::size_t>(id)] = true;
    }
  }
  fuzz::expect(!graph.outputs.empty(), "no outputs");
  for (const ValueId id : graph.outputs) fuzz::expect(inside(id) && made[static_cast<std::size_t>(id)], "an output that nothing makes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto graph = parse_onnx({reinterpret_cast<const char*>(data), size}, "m.onnx", {}, {.max_bytes = 1 << 24});
  if (graph.ok()) check_graph(*graph);
  else fuzz::expect_sentence(graph.error());
  return 0;
}
