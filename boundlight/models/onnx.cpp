#include "boundlight/models/onnx.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/wire_format_lite.h>

#include <limits>

#include "boundlight/core/files.hpp"
#include "boundlight/models/errors.hpp"
#include "boundlight/models/onnx_messages.hpp"

namespace boundlight {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

constexpr const char* kNoModel = "is not an ONNX model, or damaged or cut short; fetch or export it again";
constexpr int kMostNesting = 64;           // a graph without subgraphs nests less than ten messages
constexpr std::int64_t kMostParts = 2'000'000;  // networks of a hundred thousand nodes have about a million

// Counts the messages and texts that parsing would allocate: two bytes of a file can ask for two hundred of memory, so a
// damaged or hostile file is refused before. False: no valid encoding, or more than `left`.
bool count_parts(CodedInputStream& stream, const Descriptor& message, int depth, std::int64_t& left) {
  if (depth > kMostNesting) return false;
  while (const std::uint32_t tag = stream.ReadTag()) {
    switch (WireFormatLite::GetTagWireType(tag)) {
      case WireFormatLite::WIRETYPE_LENGTH_DELIMITED: {
        std::uint32_t size = 0;
        if (--left < 0 || !stream.ReadVarint32(&size) || size > 0x7FFFFFFF) return false;
        const FieldDescriptor* field = message.FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
        if (field == nullptr || field->type() != FieldDescriptor::TYPE_MESSAGE) {
          if (!stream.Skip(static_cast<int>(size))) return false;
          break;
        }
        const auto limit = stream.PushLimit(static_cast<int>(size));
        if (!count_parts(stream, *field->message_type(), depth + 1, left) || stream.BytesUntilLimit() != 0) return false;
        stream.PopLimit(limit);
        break;
      }
      case WireFormatLite::WIRETYPE_VARINT: {
        std::uint64_t ignored = 0;
        if (!stream.ReadVarint64(&ignored)) return false;
        break;
      }
      case WireFormatLite::WIRETYPE_FIXED32:
        if (!stream.Skip(4)) return false;
        break;
      case WireFormatLite::WIRETYPE_FIXED64:
        if (!stream.Skip(8)) return false;
        break;
      default: return false;  // the format has no groups
    }
  }
  return stream.ConsumedEntireMessage();
}

}  // namespace

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
  const auto* start = reinterpret_cast<const std::uint8_t*>(bytes.data());
  CodedInputStream structure(start, static_cast<int>(bytes.size()));
  std::int64_t parts = kMostParts;
  const bool valid = count_parts(structure, *onnx::ModelProto::descriptor(), 0, parts);
  if (parts < 0) return bad_input(source, "has more than " + std::to_string(kMostParts) + " parts, which no network needs; fetch or export it again");
  if (!valid) return bad_input(source, kNoModel);
  onnx::ModelProto model;
  CodedInputStream stream(start, static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(kMostNesting + 1);
  if (!model.ParsePartialFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) {
    return bad_input(source, kNoModel);
  }
  if (!model.has_graph()) return bad_input(source, "is not an ONNX model, it holds no graph; fetch or export it again");
  onnx_reader::ExternalFiles external(folder, options.max_bytes - bytes.size());
  auto graph = onnx_reader::read_model(model, source, external);
  if (graph.ok()) graph->sha256 = sha256_hex(bytes);
  return graph;
}

}  // namespace boundlight
