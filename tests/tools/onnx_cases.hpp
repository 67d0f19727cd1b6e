// The ONNX node conformance tests as data: folders test_*/ with model.onnx and test_data_set_K/{input,output}_I.pb.
// Reads tensors by itself, NaN included, so that a fault of the library's reader does not hide in its own tests.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "boundlight/models/graph.hpp"

namespace conformance {

struct DataSet {
  std::vector<boundlight::Tensor> inputs, outputs;
};

struct Case {
  std::string name;
  std::filesystem::path model;
  std::vector<std::string> operators;          // distinct, in the standard domain or "domain.Name"
  std::optional<std::string> out_of_reach;     // why no float, integer or boolean tensor program could run it
  std::vector<DataSet> sets;                   // empty when out of reach
};

// Cases of `folder` in order of name. A case that cannot be read has the reason in `out_of_reach`, starting "unreadable".
std::vector<std::filesystem::path> case_folders(const std::filesystem::path& folder);
Case read_case(const std::filesystem::path& folder);

}  // namespace conformance
