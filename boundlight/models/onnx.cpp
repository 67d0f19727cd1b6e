#include "boundlight/models/onnx.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>

#include <limits>

#include "boundlight/core/files.hpp"
#include "boundlight/models/errors.hpp"
#include "boundlight/models/onnx_messages.hpp"

namespace boundlight {

Result<Graph> load_onnx(const std::filesystem::path& path, const OnnxOptions& options) {
  BL_TRY(bytes, read_file(path, options.max_bytes));
  const auto folder = path.parent_path();
  return parse_onnx(bytes, path.string(), folder.empty() ? "." : folder, options);
}

Result<Graph> parse_onnx(std::string_view bytes, const std::string& source, const std::filesystem::path& folder,
                         const OnnxOptions& options) {
  if (bytes.size() > options.max_bytes) return too_big(source, "the model has more bytes than the cap of " + std::to_string(options.max_bytes));
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    return bad_input(source, "has more than 2 GiB, which no ONNX file can have; keep the weights in external data");
  }
  if (bytes.empty()) return bad_input(source, "is empty; fetch or export the model again");
  if (bytes.starts_with("version https://git-lfs")) return bad_input(source, "is a Git LFS pointer and not the model; run git lfs pull");

  const google::protobuf::LogSilencer silence;  // its complaints would go to standard error
  onnx::ModelProto model;
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const std::uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(64);  // a graph without subgraphs nests less than ten messages
  if (!model.ParsePartialFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) {
    return bad_input(source, "is not an ONNX model, or damaged or cut short; fetch or export it again");
  }
  if (!model.has_graph()) return bad_input(source, "is not an ONNX model, it holds no graph; fetch or export it again");
  onnx_reader::ExternalFiles external(folder, options.max_bytes - bytes.size());
  auto graph = onnx_reader::read_model(model, source, external);
  if (graph.ok()) graph->sha256 = sha256_hex(bytes);
  return graph;
}

}  // namespace boundlight
