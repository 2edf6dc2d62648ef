// SPDX-License-Identifier: Apache-2.0
// Objects of compiled programs, kept on disk between runs. docs/cache.md has the format and what
// it is safe against.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/sha256.hpp"
#include "codegen/compiler.hpp"
#include "ir/encode.hpp"
#include "ir/module.hpp"
#include "warphive/error.hpp"

namespace warphive::codegen {

using Digest = base::Sha256::Digest;

/// To be bumped by hand when equal IR comes to mean something else.
inline constexpr std::uint32_t ir_code_version = 1;
/// To be bumped by hand when the bytes of entries change.
inline constexpr std::uint32_t cache_format_version = 1;
/// Of the sources that this build's code generator was made from; made by the build.
extern const char* const sources_digest;

/// SHA-256 over everything that decides the code of a program: what code generation reads of it,
/// the machine, this build of the code generator, and `options`, which is whatever else the caller
/// compiles by. What it leaves out (names, source offsets, data, exports) changes no code.
/// `encoded` was made from the module, so where its functions begin is all that counts of it.
Digest program_digest(const ir::Module& module, const ir::EncodedProgram& encoded,
                      std::string_view options);

struct CacheOptions {
  std::string directory;                               // empty: default_cache_directory()
  std::uint64_t limit_bytes = std::uint64_t{1} << 30;  // of all entries together
  bool create = true;  // the directory, mode 0700, and those above it
};

struct CacheStats {
  std::string directory;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t limit_bytes = 0;
};

/// $XDG_CACHE_HOME/warphive, else $HOME/.cache/warphive. Errors: not_found (neither names an
/// absolute path).
Result<std::string> default_cache_directory();

/// A directory of entries. Thread-safe; many processes may use one directory at once. No failure of
/// it need fail a run: callers go on without what it did not find or keep.
class CodeCache {
 public:
  /// Errors: invalid_input (the directory belongs to another user, or others may write it), io,
  /// not_found (it does not exist and `create` is off).
  static Result<std::unique_ptr<CodeCache>> open(CacheOptions options = {});
  ~CodeCache();
  CodeCache(const CodeCache&) = delete;
  CodeCache& operator=(const CodeCache&) = delete;

  /// Nothing where there is no entry, or one that is not exactly what store() wrote for this key;
  /// such a one is removed. An entry that is found becomes the most recently used.
  std::optional<HostObjects> find(const Digest& key);

  /// Readers see the whole entry or none. Then removes entries, least recently used first, until
  /// the rest is within the limit. Errors: limit_exceeded (the entry alone is larger), io,
  /// invalid_input (as for open).
  Status store(const Digest& key, const HostObjects& objects);

  /// Errors: io.
  Result<CacheStats> stats() const;
  /// Removes all entries, and nothing that has not the name of one. Errors: io.
  Status clear();

 private:
  CodeCache(int directory, CacheOptions options);
  [[nodiscard]] Status check_directory() const;
  Status write(const std::string& name, std::string_view bytes);
  Status evict(const std::string& kept);

  const int directory_;  // owned
  const CacheOptions options_;
  std::atomic<std::uint64_t> written_ = 0;  // numbers temporary files
};

}  // namespace warphive::codegen
