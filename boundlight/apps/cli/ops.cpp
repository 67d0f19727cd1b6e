// boundlight ops: the operators and what is supported of each.
#include <cstdio>

#include "boundlight/apps/cli/command.hpp"
#include "boundlight/bounds/ops/op.hpp"

namespace boundlight::cli {
namespace {

Result<int> run_ops(const std::string& json) {
  const Output output(json);
  Json list = Json::array();
  if (output.text()) std::printf("%-22s %-8s %-24s %-20s %s\n", "operator", "value", "gradient", "interval", "linear");
  for (const OpInfo* op : all_ops()) {
    if (output.text()) std::printf("%-22s %-8s %-24s %-20s %s\n", op->name, op->value, op->gradient, op->interval, op->linear);
    list.push_back({{"name", op->name}, {"value", op->value}, {"gradient", op->gradient}, {"interval", op->interval}, {"linear", op->linear}});
  }
  BL_CHECK(output.finish({{"operators", list}}));
  return kDone;
}

}  // namespace

void add_ops(CLI::App& app, Session& session) {
  auto* command = app.add_subcommand("ops", "List the operators and what is supported of each");
  auto json = std::make_shared<std::string>();
  add_json_option(*command, *json);
  command->footer("Example: boundlight ops\nAn operator outside of the list is refused by name before anything is computed.");
  command->callback([&session, json] { session.run = [json] { return run_ops(*json); }; });
}

}  // namespace boundlight::cli
