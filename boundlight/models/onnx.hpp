// ONNX files -> Graph. Opsets 7 to 21 and IR versions 3 to 10; newer ones are tried with a note.
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

}  // namespace boundlight
