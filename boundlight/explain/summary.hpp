// A run over several images: summary.json and index.html beside the images' own folders.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "boundlight/explain/report.hpp"

namespace boundlight {

struct SummaryLine {
  std::string name, folder;         // of the image; its reports, relative to the summary
  std::int64_t label = 0;
  std::string label_name, verdict;  // "verified", "falsified", "unknown", "not verified"
  std::int64_t ordered = 0, equal = 0, undecided = 0, irrelevant = 0, top_cell = 0;
  double verified_base = 0, attained_base = 0, seconds = 0;
  bool vacuous = false, complete = true;
};
SummaryLine summary_line(const EvaMap& map, const ReportInput& input, const std::string& folder, double seconds);

// seconds: of the whole run. `left`: images that were not reached.
std::string summary_json(const std::vector<SummaryLine>& lines, double seconds, std::int64_t left);

// Writes summary.json and index.html into `folder`. Errors: io.
Result<void> write_summary(const std::filesystem::path& folder, const std::vector<SummaryLine>& lines, double seconds, std::int64_t left);

}  // namespace boundlight
