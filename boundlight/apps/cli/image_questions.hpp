// From an input and the options of a command to what explanations are asked about.
#pragma once

#include "boundlight/apps/cli/inputs.hpp"
#include "boundlight/explain/cells.hpp"
#include "boundlight/explain/eva.hpp"
#include "boundlight/explain/metrics.hpp"

namespace boundlight::cli {

// `text` is pixels, ROWSxCOLS or slic:COUNT; a label array or masks [COUNT][HEIGHT][WIDTH] in `segments` win.
Result<Cells> cells_of(const std::string& text, const std::string& segments, const PreparedInput& sample);

// The ball of `eps` around the sample and the cells of its elements; class and rival left to the model. Error: an image that
// leaves the clipping range (its cells cannot be reset to it).
Result<EvaQuestion> question_of(const RegionArguments& region, const PreparedInput& sample, const Cells& cells, double eps);

// A name of --tier on a model: shared, refined, full, alpha, or auto: alpha with a few parts where that costs a fraction of a second or a
// budget is given, else refined. Sets tier, budget and most_parts; the method and the overlap are set before.
void choose_tier(const std::string& name, double budget, const Network& network, EvaOptions& options);
std::string name_of(EvaTier tier);

// Pixel units. Numbers that are no pixels have the range that the sample itself covers.
PixelFrame frame_of(const PreparedInput& sample);

// The sample for showing: grey, RGB or RGBA; a plain grey field where it is no image.
Picture shown(const PreparedInput& sample);

}  // namespace boundlight::cli
