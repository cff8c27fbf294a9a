/* Host memory of tensors: every block comes from core/memory.h, so that --mem-mb bounds networks too and a run can
 * report its peak. Blocks that are freed are kept for the next step, which asks for the same sizes again: without that
 * each step pays the system for fresh zeroed pages. */
#include "nn/torch_private.h"

#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "core/memory.h"

namespace vsl
{

namespace
{

constexpr size_t header_bytes = 64; /* keeps the alignment of vsl_alloc */
constexpr size_t pooled_from = 32768;

struct Header {
    size_t capacity;
};

struct Pool {
    std::mutex lock;
    std::map<size_t, std::vector<void *>> idle; /* by capacity */
    int64_t idle_bytes = 0, live_bytes = 0, peak_bytes = 0;
    std::vector<NnRuntime *> open; /* each has a peak of its own */
};

/* Never destroyed: tensors may outlive every static object. */
Pool &pool()
{
    static Pool *const p = new Pool;
    return *p;
}

/* Eight sizes an octave, so that slightly different tensors share blocks at a waste of at most an eighth. */
size_t rounded(size_t bytes)
{
    if (bytes < pooled_from) {
        return bytes;
    }
    size_t step = pooled_from / 8;
    while (step * 16 <= bytes) {
        step *= 2;
    }
    return (bytes + step - 1) / step * step;
}

void release_idle(Pool &p)
{
    for (auto &size : p.idle) {
        for (void *block : size.second) {
            vsl_free(block);
        }
    }
    p.idle.clear();
    p.idle_bytes = 0;
}

void *take(size_t bytes)
{
    if (bytes == 0) {
        return nullptr;
    }
    Pool &p = pool();
    const size_t capacity = rounded(bytes);
    std::lock_guard<std::mutex> hold(p.lock);
    void *block = nullptr;
    auto found = p.idle.find(capacity);
    if (found != p.idle.end() && !found->second.empty()) {
        block = found->second.back();
        found->second.pop_back();
        p.idle_bytes -= (int64_t)capacity;
    } else if (vsl_alloc(&block, (int64_t)(capacity + header_bytes), 1, "a tensor") != VSL_OK) {
        release_idle(p);
        if (vsl_alloc(&block, (int64_t)(capacity + header_bytes), 1, "a tensor") != VSL_OK) {
            throw Failure(VSL_E_NOMEM, "%s", vsl_error());
        }
    }
    const Header h = {capacity};
    memcpy(block, &h, sizeof h);
    p.live_bytes += (int64_t)capacity;
    p.peak_bytes = std::max(p.peak_bytes, p.live_bytes);
    for (NnRuntime *rt : p.open) {
        rt->peak_bytes = std::max(rt->peak_bytes, p.live_bytes);
    }
    return static_cast<char *>(block) + header_bytes;
}

void give_back(void *data)
{
    if (!data) {
        return;
    }
    void *block = static_cast<char *>(data) - header_bytes;
    Header h;
    memcpy(&h, block, sizeof h);
    Pool &p = pool();
    std::lock_guard<std::mutex> hold(p.lock);
    p.live_bytes -= (int64_t)h.capacity;
    /* never hold more than the run has needed at once */
    if (h.capacity < pooled_from || p.live_bytes + p.idle_bytes + (int64_t)h.capacity > p.peak_bytes) {
        vsl_free(block);
        return;
    }
    p.idle[h.capacity].push_back(block);
    p.idle_bytes += (int64_t)h.capacity;
}

/* LibTorch 2.3 took the const from `allocate` and added `copy_data`; of both forms each version overrides its own, so
 * that none may be marked as overriding. */
class Allocator : public c10::Allocator
{
  public:
    at::DataPtr allocate(size_t bytes) const
    {
        return made(bytes);
    }
    at::DataPtr allocate(size_t bytes)
    {
        return made(bytes);
    }
    c10::DeleterFnPtr raw_deleter() const
    {
        return &give_back;
    }
    void copy_data(void *to, const void *from, std::size_t bytes) const
    {
        memcpy(to, from, bytes);
    }

  private:
    static at::DataPtr made(size_t bytes)
    {
        void *data = take(bytes);
        return {data, data, &give_back, at::Device(at::kCPU)};
    }
};

} // namespace

void install_allocator()
{
    static Allocator *const allocator = [] {
        Allocator *made = new Allocator;
        c10::SetCPUAllocator(made, 1);
        return made;
    }();
    (void)allocator;
}

NnMemory host_memory(const NnRuntime *rt)
{
    Pool &p = pool();
    std::lock_guard<std::mutex> hold(p.lock);
    return {p.live_bytes, rt->peak_bytes};
}

void watch_memory(NnRuntime *rt)
{
    Pool &p = pool();
    std::lock_guard<std::mutex> hold(p.lock);
    p.open.push_back(rt);
    rt->peak_bytes = p.live_bytes;
}

/* The last runtime takes what is kept for reuse with it. */
void unwatch_memory(NnRuntime *rt)
{
    Pool &p = pool();
    std::lock_guard<std::mutex> hold(p.lock);
    p.open.erase(std::remove(p.open.begin(), p.open.end(), rt), p.open.end());
    if (p.open.empty()) {
        release_idle(p);
        p.peak_bytes = p.live_bytes;
    }
}

} // namespace vsl
