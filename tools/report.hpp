// SPDX-License-Identifier: Apache-2.0
// What a run came to, and the forms in which it is shown.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>
#include <warphive/warphive.hpp>

#include "tools/run_options.hpp"

namespace warphive::tools {

/// Sums over all instances.
struct Tally {
  static constexpr std::size_t exit_kinds = 9;
  static constexpr std::size_t trap_kinds = 13;

  explicit Tally(const Results& results);

  [[nodiscard]] std::uint64_t count(Exit exit) const {
    return exits[static_cast<std::size_t>(exit)];
  }

  std::array<std::uint64_t, exit_kinds> exits{};
  std::array<std::uint64_t, trap_kinds> traps{};
  std::array<std::uint64_t, exit_kinds> first{};  // the first instance that stopped so
  std::uint64_t nonzero_codes = 0;
  std::uint64_t first_nonzero = 0;  // the first instance with such a code
  std::uint64_t grow_refused = 0;
  std::uint64_t truncated = 0;  // instances
};

/// Where the time went, in seconds.
struct Seconds {
  double load = 0;     // reading files
  double compile = 0;  // decode, validate, lower, link
  double spawn = 0;
  double run = 0;
  double harvest = 0;
  double total = 0;
};

/// Everything that the forms show. Borrows all of it.
struct Report {
  const RunOptions& options;
  const Swarm& swarm;
  const Results& results;
  const Tally& tally;
  std::span<const InstanceId> ids;  // empty where instances are gone
  std::string signature;
  std::size_t value_count = 0;  // results of the function
  std::string device;
  std::string tier;  // that ran: interp, jit, or interp+jit where code came while instances ran
  TierStatus compiled;
  bool deterministic = true;
  std::uint32_t memory_pages = 0;
  Seconds seconds;
  bool timed_out = false;

  [[nodiscard]] std::uint64_t instances() const { return results.size(); }
  /// Whether stdout and stderr of instances are among the results.
  [[nodiscard]] bool shows_output() const { return !options.host.pass_through; }
  [[nodiscard]] double per_second(std::uint64_t count) const;
};

/// Buffered standard output. Throws Failure (host) when it cannot be written.
class Output {
 public:
  explicit Output(std::FILE* file = stdout) : file_(file) {}
  std::string& text() { return text_; }  // appended to, written by the next flush
  void flush_if_large() {
    if (text_.size() >= std::size_t{1} << 16) write();
  }
  void flush();

 private:
  void write();
  std::FILE* file_;
  std::string text_;
};

/// Memory of instances as --read-memory and --memory-hash ask for it, fetched in large pieces.
class MemoryView {
 public:
  explicit MemoryView(const Report& report) : report_(report) {}
  /// Bytes of instance i; none if not asked for or if its memory is smaller.
  std::optional<std::span<const std::byte>> bytes(std::uint64_t i);
  std::optional<std::uint64_t> hash(std::uint64_t i);

 private:
  void fetch(std::uint64_t i);

  const Report& report_;
  std::uint64_t first_ = 0;
  std::uint64_t count_ = 0;
  std::vector<std::byte> bytes_;       // rows of those that are large enough
  std::vector<std::uint64_t> row_of_;  // by instance, from first_
  std::vector<std::uint64_t> hashes_;
};

void write_json(const Report& report, Output& output);
void write_csv(const Report& report, Output& output);
/// Values on stdout; what guests wrote on stdout without --invoke, else on stderr.
void write_text(const Report& report, Output& output);
/// How it went, for people, on stderr.
void write_summary(const Report& report);
/// A sentence on stderr for every way in which instances failed.
void write_failures(const Report& report);
/// To the file or files of --stdout.
void write_stdout_files(const Report& report);

/// "integer_divide_by_zero in function 3 (div) at byte 79 (0x4f)".
std::string describe_trap(const Report& report, std::uint64_t i);
/// The exit status, from what the instances did.
int exit_status(const Tally& tally, const Results& results);

}  // namespace warphive::tools
