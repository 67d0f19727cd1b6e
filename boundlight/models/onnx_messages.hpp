// The ONNX message classes, and what the parts of the reader share. Included by onnx*.cpp only: the generated header is
// 10,000 lines, and nothing outside this room may know how ONNX spells things.
#pragma once

#ifndef ONNX_ML
#define ONNX_ML 1
#endif
#ifndef ONNX_NAMESPACE
#define ONNX_NAMESPACE onnx
#endif
#include <onnx/onnx_pb.h>

#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>

#include "boundlight/models/graph.hpp"

namespace boundlight::onnx_reader {

// ONNX's number for an element type -> ours; nothing for string, complex, 8-bit floats, 4-bit integers ...
std::optional<DataType> data_type_of(int onnx_type);
std::string name_of_onnx_type(int onnx_type);

// Reads the byte ranges that tensors keep outside of the model file. A location is a relative path below the model's
// folder; after links are followed it must still be inside, and it must be a regular file.
class ExternalFiles {
 public:
  // An empty folder means that external data is refused. `budget` caps the bytes read in all.
  ExternalFiles(std::filesystem::path folder, std::uint64_t budget) : folder_(std::move(folder)), budget_(budget) {}

  // `needed` bytes as the tensor's external_data entries say (location, offset, length, checksum).
  Result<std::string> read(const onnx::TensorProto& tensor, std::uint64_t needed, const std::string& place);

 private:
  Result<std::filesystem::path> resolve(const std::string& location, const std::string& place) const;
  Result<void> verify_checksum(const std::filesystem::path& path, const std::string& expected, const std::string& place);

  std::filesystem::path folder_;
  std::uint64_t budget_;
  std::unordered_map<std::string, std::string> sha1_;  // of files already hashed
};

// A TensorProto's constant; takes the bytes out of the message. Checks dimensions, data lengths and ranges, refuses NaN.
// `what` is the place: "model.onnx: initializer conv1.weight".
Result<Tensor> read_tensor(onnx::TensorProto& tensor, ExternalFiles& external, const std::string& place);

// An attribute's value; `place` names the node.
Result<Attribute> read_attribute(onnx::AttributeProto& attribute, ExternalFiles& external, const std::string& place);

// Type and shape of a ValueInfoProto. Only tensors exist here; sequences, optionals, maps and sparse tensors are refused.
struct Declared {
  std::optional<DataType> type;
  std::optional<Shape> shape;
};
Result<Declared> read_declaration(const onnx::ValueInfoProto& info, const std::string& place);

// Message -> Graph: names, versions, order of nodes (onnx_graph.cpp). The message is emptied of its tensors on the way.
Result<Graph> read_model(onnx::ModelProto& model, const std::string& source, ExternalFiles& external);

// Sorts nodes so that every value is made before it is used, keeping the file's order where it already is so.
// `producer[v]` is the node index that makes value v, or -1. Error: a cycle, naming a node on it.
Result<void> sort_nodes(Graph& graph, const std::vector<std::int32_t>& producer);

}  // namespace boundlight::onnx_reader
