// ONNX files -> Graph. Opsets 7 to 21 and IR versions 3 to 10; other opsets and newer IR versions are tried with a note
// (an operator that changed before opset 7 is refused when the network is prepared).
#pragma once

#include <filesystem>

#include "boundlight/models/graph.hpp"

namespace boundlight {

struct OnnxOptions {
  std::uint64_t max_bytes = std::uint64_t{1} << 34;  // model and external data together
};

// Reads and validates: every name defined once and before its use, no cycles, tensor bytes of the right length,
// dimensions that fit, external files inside the model's folder. Nothing is computed. Errors name file and node.
Result<Graph> load_onnx(const std::filesystem::path& path, const OnnxOptions& options = {});

// The same from memory; `source` is used in messages, external data is looked up beside `folder` (refused when empty).
Result<Graph> parse_onnx(std::string_view bytes, const std::string& source, const std::filesystem::path& folder,
                         const OnnxOptions& options = {});

// The element type that ONNX numbers so (1 is float32, 7 int64 ...); nothing for those that are not supported here. The
// name is for messages.
std::optional<DataType> onnx_element_type(std::int64_t number);
std::string onnx_element_type_name(std::int64_t number);

}  // namespace boundlight
