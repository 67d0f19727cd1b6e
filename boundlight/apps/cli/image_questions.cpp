#include "boundlight/apps/cli/image_questions.hpp"

#include <algorithm>
#include <cstdio>

namespace boundlight::cli {

Result<Cells> cells_of(const std::string& text, const std::string& segments, const PreparedInput& sample) {
  const auto& form = sample.map.form;
  if (!segments.empty()) {
    BL_TRY(labels, load_array(segments));
    const Shape& shape = labels.shape();
    if (shape.size() == 3 && shape[1] == form.height && shape[2] == form.width) return mask_cells(labels.to_int64s(), shape[0], form.height, form.width);
    return segment_cells(labels.to_int64s(), form.height, form.width);
  }
  if (text == "pixels") return pixel_cells(form.height, form.width);
  char end = 0;
  long long rows = 0, columns = 0;
  if (std::sscanf(text.c_str(), "slic:%lld%c", &rows, &end) == 1) return slic_cells(in_image_order(form, sample.pixels), form.height, form.width, form.channels, rows);
  if (std::sscanf(text.c_str(), "%lldx%lld%c", &rows, &columns, &end) != 2)
    return Error{ErrorKind::bad_input, "option --cells", "'" + text + "' is not pixels, ROWSxCOLS or slic:COUNT"};
  return grid_cells(form.height, form.width, rows, columns);
}

Result<EvaQuestion> question_of(const RegionArguments& region, const PreparedInput& sample, const Cells& cells, double eps) {
  if (region.norm != "linf") return Error{ErrorKind::bad_input, "option --norm", "explanations take linf balls; " + region.norm + " balls are for the command bounds"};
  BL_TRY(ball, ball_of(sample, region, eps));
  BL_TRY(found, pixel_region(ball));
  for (std::size_t i = 0; i < ball.pixel.size() && ball.clip; ++i)
    if (!(ball.clip->first <= ball.pixel[i] && ball.pixel[i] <= ball.clip->second))
      return Error{ErrorKind::bad_input, "region", "the image leaves the clipping range (element " + std::to_string(i) + " is " + std::to_string(ball.pixel[i]) + ", the range " +
                                                       std::to_string(ball.clip->first) + " to " + std::to_string(ball.clip->second) +
                                                       "), so cells cannot be reset to it; widen --clip, or --clip none"};
  EvaQuestion q;
  q.x = std::move(found.x);
  q.lower = std::move(found.lower);
  q.upper = std::move(found.upper);
  q.inner_lower = std::move(found.inner_lower);
  q.inner_upper = std::move(found.inner_upper);
  q.cells = cells.count;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(q.x.size()); ++i) {
    const auto p = sample.map.form.place(i);
    q.cell.push_back(cells.label[static_cast<std::size_t>(p.row * cells.width + p.column)]);
  }
  return q;
}

std::string name_of(EvaTier tier) {
  switch (tier) {
    case EvaTier::shared: return "shared";
    case EvaTier::refined: return "refined";
    case EvaTier::full: return "full";
    case EvaTier::alpha: break;
  }
  return "alpha";
}

void choose_tier(const std::string& name, double budget, const Network& network, EvaOptions& options) {
  constexpr std::int64_t kSmall = 32768, kFewParts = 256;
  std::int64_t neurons = 0;
  for (const auto& v : network.values)
    if (!v.constant) neurons += v.size;
  const bool search = options.bounds.method == Method::crown || options.bounds.method == Method::alpha;
  options.tier = search && options.overlap == Overlap::margin && (neurons <= kSmall || budget > 0) ? EvaTier::alpha : EvaTier::refined;
  for (const EvaTier tier : {EvaTier::shared, EvaTier::refined, EvaTier::full, EvaTier::alpha})
    if (name == name_of(tier)) options.tier = tier;
  options.budget = budget;
  options.most_parts = options.tier == EvaTier::alpha && budget <= 0 ? kFewParts : 0;
}

PixelFrame frame_of(const PreparedInput& sample) {
  const auto& form = sample.map.form;
  PixelFrame f;
  f.height = form.height;
  f.width = form.width;
  for (std::int64_t i = 0; i < form.size(); ++i) {
    const auto p = form.place(i);
    f.pixel.push_back(static_cast<std::int32_t>(p.row * form.width + p.column));
    f.channel.push_back(static_cast<std::int32_t>(p.channel));
    f.mean.push_back(sample.map.mean_of(i));
    f.deviation.push_back(sample.map.std_of(i));
  }
  const auto [low, high] = std::minmax_element(sample.pixels.begin(), sample.pixels.end());
  f.low = sample.range ? sample.range->lo : *low;
  f.high = sample.range ? sample.range->hi : *high;
  return f;
}

Picture shown(const PreparedInput& sample) {
  const auto& form = sample.map.form;
  if (form.image && (form.channels == 1 || form.channels == 3 || form.channels == 4))
    return picture_of(form, sample.pixels, sample.range && sample.range->hi > 0 ? sample.range->hi : 1);
  return Picture{form.height, form.width, 1, std::vector<std::uint8_t>(static_cast<std::size_t>(form.height * form.width), 128)};
}

}  // namespace boundlight::cli
