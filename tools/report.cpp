// SPDX-License-Identifier: Apache-2.0
#include "tools/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "tools/failure.hpp"
#include "tools/format.hpp"

namespace warphive::tools {

Tally::Tally(const Results& results) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    const InstanceResult result = results[i];
    const auto exit = static_cast<std::size_t>(result.exit);
    if (exits.at(exit)++ == 0) first.at(exit) = i;
    if (result.exit == Exit::trapped) ++traps.at(static_cast<std::size_t>(result.trap));
    if (result.exit == Exit::exited && result.exit_code != 0 && nonzero_codes++ == 0) {
      first_nonzero = i;
    }
    grow_refused += result.grow_refused;
    truncated += result.truncated ? 1 : 0;
  }
}

double Report::per_second(std::uint64_t count) const {
  return static_cast<double>(count) / std::max(seconds.run, 1e-9);
}

void Output::write() {
  if (std::fwrite(text_.data(), 1, text_.size(), file_) != text_.size()) {
    const int reason = errno;
    text_.clear();
    fail_host("Standard output cannot be written: {}.", std::strerror(reason));
  }
  text_.clear();
}

void Output::flush() {
  write();
  if (std::fflush(file_) != 0) {
    fail_host("Standard output cannot be written: {}.", std::strerror(errno));
  }
}

std::optional<std::span<const std::byte>> MemoryView::bytes(std::uint64_t i) {
  if (!report_.options.read_memory) return std::nullopt;
  fetch(i);
  const std::uint64_t row = row_of_[i - first_];
  if (row == ~std::uint64_t{0}) return std::nullopt;
  const std::uint64_t length = report_.options.read_memory->bytes;
  return std::span<const std::byte>(bytes_).subspan(row * length, length);
}

std::optional<std::uint64_t> MemoryView::hash(std::uint64_t i) {
  if (!report_.options.memory_hash) return std::nullopt;
  fetch(i);
  return hashes_[i - first_];
}

void MemoryView::fetch(std::uint64_t i) {
  if (i >= first_ && i < first_ + count_) return;
  const RunOptions& options = report_.options;
  const std::uint64_t length = options.read_memory ? options.read_memory->bytes : 0;
  constexpr std::uint64_t piece_bytes = 16 << 20;
  const std::uint64_t piece = std::clamp<std::uint64_t>(piece_bytes / (length + 1), 1, 4096);
  first_ = i;
  count_ = std::min(piece, options.selection().shown(report_.instances()) - i);
  const std::span<const InstanceId> ids = report_.ids.subspan(first_, count_);
  if (options.memory_hash) hashes_ = or_fail(report_.swarm.memory_hashes(ids));
  if (options.read_memory) {
    const std::vector<std::uint64_t> sizes = or_fail(report_.swarm.memory_sizes(ids));
    std::vector<InstanceId> large;
    row_of_.assign(count_, ~std::uint64_t{0});
    for (std::uint64_t k = 0; k < count_; ++k) {
      if (sizes[k] < options.read_memory->address + length) continue;
      row_of_[k] = large.size();
      large.push_back(ids[k]);
    }
    bytes_.resize(large.size() * length);
    if (!bytes_.empty()) {
      or_fail(report_.swarm.read_memory(large, options.read_memory->address, length, bytes_));
    }
  }
}

std::string describe_trap(const Report& report, std::uint64_t i) {
  std::string text(to_string(report.results[i].trap));
  const std::optional<TrapSite> site = report.results.trap_site(i);
  if (!site) return text;
  if (site->function) {
    text += fmt::format(" in function {}", *site->function);
    if (!site->function_name.empty()) text += fmt::format(" ({})", clean(site->function_name));
  }
  return text + fmt::format(" at byte {} (0x{:x})", site->offset, site->offset);
}

void write_stdout_files(const Report& report) {
  const std::string path = report.options.stdout_path.value_or(std::string());
  struct Close {
    void operator()(std::FILE* file) const { (void)std::fclose(file); }
  };
  const auto write = [](std::FILE* file, const std::string& name, std::string_view text) {
    if (file == nullptr || std::fwrite(text.data(), 1, text.size(), file) != text.size() ||
        std::fflush(file) != 0) {
      fail_host("The file of --stdout ({}) cannot be written: {}.", name, std::strerror(errno));
    }
  };
  if (has_id(path)) {
    for (std::uint64_t i = 0; i < report.instances(); ++i) {
      const InstanceResult result = report.results[i];
      const std::string name = with_id(path, result.ordinal);
      const std::unique_ptr<std::FILE, Close> file(std::fopen(name.c_str(), "wb"));
      write(file.get(), name, result.out);
    }
    return;
  }
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "wb"));
  write(file.get(), path, "");
  for (std::uint64_t i = 0; i < report.instances(); ++i) {
    write(file.get(), path, report.results[i].out);
  }
}

int exit_status(const Tally& tally, const Results& results) {
  const std::uint64_t good =
      tally.count(Exit::returned) + tally.count(Exit::exited) - tally.nonzero_codes;
  if (good == results.size()) return static_cast<int>(Status::ok);
  if (tally.nonzero_codes != 0) {
    if (results.size() > 1) return static_cast<int>(Status::some_code_nonzero);
    constexpr auto last = static_cast<std::uint32_t>(Status::last_guest);
    return static_cast<int>(std::min(static_cast<std::uint32_t>(results[0].exit_code), last));
  }
  if (tally.count(Exit::device_lost) != 0) return static_cast<int>(Status::device);
  if (tally.count(Exit::trapped) != 0) return static_cast<int>(Status::trap);
  if (tally.count(Exit::internal) == 0) return static_cast<int>(Status::stopped);
  const std::uint64_t stopped = tally.count(Exit::out_of_fuel) + tally.count(Exit::cancelled) +
                                tally.count(Exit::parked) + tally.count(Exit::ready);
  return static_cast<int>(stopped != 0 ? Status::stopped : Status::host);
}

}  // namespace warphive::tools
