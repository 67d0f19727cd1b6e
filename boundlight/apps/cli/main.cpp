// The command `boundlight`.
#include <malloc.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <new>

#include "boundlight/apps/cli/command.hpp"

namespace {

std::atomic<bool> interrupted = false;

// The first Ctrl-C asks for the best answer so far; the second ends the process as usual.
void on_interrupt(int) {
  interrupted = true;
  std::signal(SIGINT, SIG_DFL);
}

int exit_code_of(const boundlight::Error& error) {
  using namespace boundlight;
  switch (error.kind) {
    case ErrorKind::out_of_memory: return cli::kNoMemory;
    case ErrorKind::cancelled: return cli::kInterrupted;
    case ErrorKind::bad_input: case ErrorKind::unsupported: case ErrorKind::io: break;
  }
  return cli::kBadInput;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace boundlight;
  // Work arrays of a few MiB come and go thousands of times; giving them back to the system each time costs more than the work.
  mallopt(M_MMAP_THRESHOLD, 1 << 28);
  mallopt(M_TRIM_THRESHOLD, 1 << 29);
  CLI::App app{"boundlight: what an image model's decision really rests on, with proof"};
  app.name("boundlight");
  app.set_version_flag("--version", std::string("boundlight ") + BOUNDLIGHT_VERSION);
  app.require_subcommand(1);
  app.footer("Each command explains itself: boundlight COMMAND --help.");
  cli::Session session;
  session.stop = StopToken::on(&interrupted);
  cli::add_info(app, session);
  cli::add_run(app, session);
  cli::add_bounds(app, session);
  cli::add_explain(app, session);
  cli::add_verify(app, session);
  cli::add_check(app, session);
  cli::add_audit(app, session);
  cli::add_compare(app, session);
  cli::add_ops(app, session);
  cli::add_completion(app, session);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? cli::kDone : cli::kBadInput;
  }
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
  try {
    const auto done = session.run();
    if (done.ok() && (std::fflush(stdout) != 0 || std::ferror(stdout))) {
      std::fprintf(stderr, "boundlight: standard output: cannot write the answer; is the disk full?\n");
      return cli::kBadInput;
    }
    if (done.ok()) return *done;
    std::fprintf(stderr, "boundlight: %s\n", done.error().text().c_str());
    return exit_code_of(done.error());
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "boundlight: out of memory; lower --memory or the batch\n");
    return cli::kNoMemory;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "boundlight: internal error (please report it): %s\n", e.what());
    return cli::kInternal;
  }
}
