// SPDX-License-Identifier: Apache-2.0
// Module `env`: the host functions of the seeds, by name. docs/host-functions.md describes them.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sys/seed_math.hpp"
#include "sys/world.hpp"

namespace warphive::sys {
namespace {

constexpr std::uint32_t max_record_pixels = 1024;

struct Region {
  std::uint32_t x, y, width, height, address;
};

std::uint32_t u32(const HostCall& call, std::size_t i) {
  return static_cast<std::uint32_t>(call.values[i]);
}
float f32(const HostCall& call, std::size_t i) { return std::bit_cast<float>(u32(call, i)); }

Region region_of(const HostCall& call) {
  return {u32(call, 0), u32(call, 1), u32(call, 2), u32(call, 3), u32(call, 4)};
}

void trap(HostCall& call, abi::TrapKind kind) {
  call.header->trap = kind;
  call.verdict = abi::Exit::trapped;
}

void emit(World& world, HostCall& call, std::span<const std::byte> bytes) {
  std::size_t taken = 0;
  if (world.emit(call, Stream::out, bytes, taken) != 0) trap(call, abi::TrapKind::host);
}

// A region is clipped at the map's right and lower edge.
void read_region(World& world, HostCall& call) {
  const EnvironmentOptions::Map& map = world.options.seed_map;
  const Region region = region_of(call);
  const std::uint32_t width = std::min(region.width, map.width - std::min(region.x, map.width));
  const std::uint32_t height = std::min(region.height, map.height - std::min(region.y, map.height));
  const std::uint64_t count = std::uint64_t{width} * height;
  if (!in_range(region.address, 4 * count, call.memory->size())) {
    return trap(call, abi::TrapKind::memory_out_of_bounds);
  }
  std::vector<std::uint32_t> row(width);
  std::uint64_t address = region.address;
  for (std::uint32_t y = region.y; count != 0 && y < region.y + height; ++y) {
    const std::uint8_t* pixel = map.pixels.data() + 4 * (std::size_t{y} * map.width + region.x);
    for (std::uint32_t& word : row) {
      word = std::uint32_t{pixel[0]} << 24 | std::uint32_t{pixel[1]} << 16 |
             std::uint32_t{pixel[2]} << 8 | std::uint32_t{pixel[3]};
      pixel += 4;
    }
    const auto bytes = std::as_bytes(std::span(row));
    if (!call.memory->write(address, bytes)) {
      return trap(call, abi::TrapKind::memory_out_of_bounds);
    }
    address += bytes.size();
  }
  call.values[0] = count;
}

// The map never changes: what is written becomes a record in the output, whole or not at all.
void write_region(World& world, HostCall& call) {
  const Region region = region_of(call);
  const std::uint64_t count = std::uint64_t{region.width} * region.height;
  if (!in_range(region.address, count > max_record_pixels ? 0 : 4 * count, call.memory->size())) {
    return trap(call, abi::TrapKind::memory_out_of_bounds);
  }
  const std::size_t bytes =
      4 * (4 + static_cast<std::size_t>(std::min<std::uint64_t>(count, max_record_pixels)));
  const bool fits = world.options.pass_through ||
                    bytes <= call.out.capacity - std::min(call.header->out_size, call.out.capacity);
  if (count == 0 || count > max_record_pixels || !fits) {
    if (!fits) {
      call.header->truncated = static_cast<std::uint8_t>(call.header->truncated | truncated_out);
    }
    call.values[0] = 0;
    return;
  }
  std::uint32_t record[4 + max_record_pixels] = {region.x, region.y, region.width, region.height};
  const auto pixels = std::as_writable_bytes(std::span(record)).subspan(16, bytes - 16);
  if (!call.memory->read(region.address, pixels)) {
    return trap(call, abi::TrapKind::memory_out_of_bounds);
  }
  emit(world, call, std::as_bytes(std::span(record)).first(bytes));
  call.values[0] = 1;
}

void get_dimensions(World& world, HostCall& call) {
  const EnvironmentOptions::Map& map = world.options.seed_map;
  call.values[0] = map.width << 16 | map.height;
}

template <float (*function)(float)>
void unary(World&, HostCall& call) {
  call.values[0] = std::bit_cast<std::uint32_t>(function(f32(call, 0)));
}

void pow(World&, HostCall& call) {
  call.values[0] = std::bit_cast<std::uint32_t>(seed_pow(f32(call, 0), f32(call, 1)));
}

// The state after `draws` steps from 12345, by squaring the step x -> a * x + c.
std::uint32_t generator_state(std::uint64_t draws) {
  std::uint32_t a = 1664525;
  std::uint32_t c = 1013904223;
  std::uint32_t state = 12345;
  for (; draws != 0; draws >>= 1) {
    if ((draws & 1) != 0) state = a * state + c;
    c = a * c + c;
    a *= a;
  }
  return state;
}

void random(World&, HostCall& call) {
  call.values[0] = generator_state(++call.header->random_counter);
}

void print_i32(World& world, HostCall& call) {
  const std::string text = fmt::format("{}\n", static_cast<std::int32_t>(u32(call, 0)));
  emit(world, call, std::as_bytes(std::span(text)));
}

void print_f32(World& world, HostCall& call) {
  const float value = f32(call, 0);
  // One word for all NaNs: their sign and payload are not the guest's doing.
  const std::string text = value != value ? "nan\n" : fmt::format("{}\n", value);
  emit(world, call, std::as_bytes(std::span(text)));
}

void print_str(World& world, HostCall& call) {
  if (!in_range(u32(call, 0), u32(call, 1), call.memory->size())) {
    return trap(call, abi::TrapKind::memory_out_of_bounds);
  }
  std::uint64_t taken = 0;
  if (world.emit_guest(call, Stream::out, u32(call, 0), u32(call, 1), taken) != 0) {
    trap(call, abi::TrapKind::host);
  }
}

struct Row {
  std::string_view name;
  std::string_view parameters;  // i is an i32, f an f32
  std::string_view results;
  void (*function)(World&, HostCall&);
  GuestReads reads = {};
};

constexpr Row rows[] = {
    {"read_region", "iiiii", "i", read_region},
    {"write_region", "iiiii", "i", write_region},
    {"get_dimensions", "", "i", get_dimensions},
    {"sqrt", "f", "f", unary<seed_sqrt>},
    {"sin", "f", "f", unary<seed_sin>},
    {"cos", "f", "f", unary<seed_cos>},
    {"tan", "f", "f", unary<seed_tan>},
    {"exp", "f", "f", unary<seed_exp>},
    {"log", "f", "f", unary<seed_log>},
    {"pow", "ff", "f", pow},
    {"random", "", "i", random},
    {"print_i32", "i", "", print_i32},
    {"print_f32", "f", "", print_f32},
    {"print_str", "ii", "", print_str, reads_bytes(0, 1)},
};

std::vector<ir::ValueType> types_of(std::string_view letters) {
  std::vector<ir::ValueType> types;
  for (const char letter : letters) {
    types.push_back(letter == 'f' ? ir::ValueType::f32 : ir::ValueType::i32);
  }
  return types;
}

}  // namespace

Status register_seed_host(World& world, HostRegistry& registry) {
  for (const Row& row : rows) {
    const auto serve = [&world, function = row.function](std::span<HostCall> calls) {
      for (HostCall& call : calls) function(world, call);
    };
    WARPHIVE_TRY(registry.add({"env",
                               std::string(row.name),
                               {types_of(row.parameters), types_of(row.results)},
                               serve,
                               row.reads}));
  }
  return {};
}

}  // namespace warphive::sys
