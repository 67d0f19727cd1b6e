// What verify and audit ask about: a property file, or "this sample keeps its class in a ball of pixels".
#pragma once

#include "boundlight/apps/cli/inputs.hpp"
#include "boundlight/solver/attack/falsify.hpp"
#include "boundlight/solver/spec/property.hpp"

namespace boundlight::cli {

// A number or a fraction, exactly: "0.02", "2/255". Errors name the option; NaN, infinities and negative numbers are errors.
Result<Rational> parse_radius(const std::string& option, const std::string& text);

// A finite number, 0 or more, for options of seconds (CLI11's own check lets NaN pass).
CLI::Validator seconds();

// VNN-LIB, or the JSON form of docs/specs.md when the name ends in .json; an image that the JSON names is looked up beside it.
Result<Property> load_property(const std::string& path, const Network& network, const InputOptions& options);

// "3", or a name among `labels`. Errors: no such class among the `classes`.
Result<std::int64_t> parse_class(const std::string& option, const std::string& text, const std::vector<std::string>& labels, std::int64_t classes);

// The sample's ball in exact numbers; violated where another class (`target` >= 0: that one) reaches the label.
// pixel p as loaded (a double), box [max(p - eps, clip low), min(p + eps, clip high)], then (z - mean) / std, all exact.
// Errors: another norm than linf, a pixel outside of the clip range, a target that is the label.
Result<Property> ball_property(const PreparedInput& sample, const RegionArguments& region, const Rational& eps, std::int64_t label, std::int64_t target,
                               std::int64_t classes, const std::string& title);

// The class of the largest logit, in double.
Result<std::int64_t> predicted_class(Engine& engine, const std::vector<double>& input);

// Writes an input of the network: .npy exactly (float32 when it is), .png rounded to 8 bits. Errors: another ending, no image.
Result<void> save_input(const std::string& path, const Network& network, const InputOptions& options, const std::vector<double>& input);

// The picture of an input by the model's form; errors when it is no image.
Result<Picture> picture_of_input(const Network& network, const InputOptions& options, const std::vector<double>& input);

}  // namespace boundlight::cli
