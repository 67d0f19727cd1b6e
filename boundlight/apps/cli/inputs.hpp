// Options about inputs and regions, shared by every command that takes them (docs/inputs.md).
#pragma once

#include "boundlight/apps/cli/command.hpp"
#include "boundlight/bounds/pixel_region.hpp"
#include "boundlight/models/preprocess.hpp"

namespace boundlight::cli {

struct InputArguments {
  std::string model;
  std::vector<std::string> inputs;  // FILE or NAME=FILE
  std::vector<std::pair<std::string, std::string>> given;  // input option -> text
  std::string labels;
};

// --input and the options of docs/inputs.md. `several`: models with more than one input (NAME=FILE).
void add_input_options(CLI::App& app, InputArguments& a, bool required);

struct LoadedInputs {
  std::vector<PreparedInput> samples;   // of a model with one input
  std::vector<double> values;           // [batch][input size], all inputs concatenated
  std::int64_t batch = 0;
  std::vector<std::string> labels;      // class names, may be empty
};

// Reads the inputs, with the side file of the model, and prints what was applied when output is text.
Result<LoadedInputs> load_all_inputs(const Network& network, const InputArguments& a, const Output& output);

// The options' own settings (side file and command line together), for reports.
Result<InputOptions> input_options(const InputArguments& a);

struct RegionArguments {
  std::string eps;   // number or fraction, pixel units
  std::string norm = "linf";
  std::string clip;  // "LO,HI", "none"; empty: the input's natural range
};
void add_region_options(CLI::App& app, RegionArguments& a);

// "2/255" or "0.01".
Result<double> parse_number(const std::string& option, const std::string& text);
// The ball around a sample in pixel units. Fractions and decimals of eps are rounded up for proofs (by the caller's ball).
Result<PixelBall> ball_of(const PreparedInput& sample, const RegionArguments& a, double eps);

// "cat (3)" or "3".
std::string class_name(const std::vector<std::string>& labels, std::int64_t k);

}  // namespace boundlight::cli
