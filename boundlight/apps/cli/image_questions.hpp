// From an input and the options of a command to what explanations are asked about.
#pragma once

#include "boundlight/apps/cli/inputs.hpp"
#include "boundlight/explain/cells.hpp"
#include "boundlight/explain/eva.hpp"
#include "boundlight/explain/metrics.hpp"

namespace boundlight::cli {

// `text` is pixels, ROWSxCOLS or slic:COUNT; a label array in `segments` wins.
Result<Cells> cells_of(const std::string& text, const std::string& segments, const PreparedInput& sample);

// The ball of `eps` around the sample and the cells of its elements; class and rival left to the model.
Result<EvaQuestion> question_of(const RegionArguments& region, const PreparedInput& sample, const Cells& cells, double eps);

// Pixel units. Numbers that are no pixels have the range that the sample itself covers.
PixelFrame frame_of(const PreparedInput& sample);

// The sample for showing: grey, RGB or RGBA; a plain grey field where it is no image.
Picture shown(const PreparedInput& sample);

}  // namespace boundlight::cli
