// What audit leaves behind: one record per sample, their summary, report.json and a self-contained report.html.
#pragma once

#include <filesystem>

#include "boundlight/apps/cli/command.hpp"

namespace boundlight::cli {

struct AuditSettings {
  Json question;             // what decides whether records belong to the same audit: model, property, options
  bool population = false;
  double confidence = 0.95;
};

// Counts, shares, radii, volumes and, when the samples stand for a population, what is known about it. `total`: samples asked
// for; records may be fewer.
Json summary_of(const std::vector<Json>& records, std::int64_t total, const AuditSettings& settings);
// The summary in sentences.
std::vector<std::string> in_words(const Json& summary);

// report.json, report.html. `folder` holds pictures/ that records name.
Result<void> write_audit_report(const std::filesystem::path& folder, const std::vector<Json>& records, const Json& summary, const AuditSettings& settings);

// x in [0, 1] with four decimals, rounded down or up.
std::string percent_down(double x);
std::string percent_up(double x);

}  // namespace boundlight::cli
