// What the commands share: loading, output, exit codes. One command = one file; each adds itself to the parser.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "boundlight/bounds/engines/engine.hpp"
#include "boundlight/bounds/network.hpp"
#include "boundlight/core/result.hpp"
#include "boundlight/core/stop.hpp"

namespace boundlight::cli {

// Documented and stable (docs/commands.md).
enum Exit : int {
  kDone = 0,
  kInternal = 1,      // a bug of ours
  kBadInput = 2,      // model, image, property, certificate or option
  kNoMemory = 4,
  kViolated = 10,     // verify: sat; check: rejected
  kUnknown = 11,
  kTimeout = 12,
  kInterrupted = 130,
};

using Json = nlohmann::ordered_json;

// A command sets `run`; main() calls it after parsing and prints the error, if any.
struct Session {
  std::function<Result<int>()> run;
  // Set by Ctrl-C.
  StopToken stop;
};

// Where results go: text on standard output, or JSON to a file or (with "-") alone on standard output.
class Output {
 public:
  explicit Output(std::string json) : json_(std::move(json)) {}
  bool text() const { return json_ != "-"; }
  void say(const std::string& line) const;                  // nothing when JSON owns standard output
  Result<void> finish(const Json& json) const;

 private:
  std::string json_;
};
void add_json_option(CLI::App& app, std::string& json);

// Whether a file can be made at `path` (empty, "-": nothing to make): asked before long work, so that its result is not lost.
Result<void> can_write(const std::string& option, const std::string& path);

// Reads and prepares a model; its notes are printed on standard error when `output` is text.
Result<std::shared_ptr<const Network>> load_network(const std::string& path, const Output& output);

// The error of an option ("--eps") that cannot be followed.
Error bad_option(const std::string& option, const std::string& what);

// The values of --method.
const std::map<std::string, Method>& method_names();

// A value by name; empty: the logits when `logits`, else output 0.
Result<ValueId> find_value(const Network& network, const std::string& name, bool logits);

void add_info(CLI::App& app, Session& session);
void add_ops(CLI::App& app, Session& session);
void add_completion(CLI::App& app, Session& session);
void add_run(CLI::App& app, Session& session);
void add_bounds(CLI::App& app, Session& session);
void add_explain(CLI::App& app, Session& session);
void add_verify(CLI::App& app, Session& session);
void add_check(CLI::App& app, Session& session);
void add_audit(CLI::App& app, Session& session);
void add_compare(CLI::App& app, Session& session);

}  // namespace boundlight::cli
