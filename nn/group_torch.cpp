/* Data parallel training over c10d. */
#include "nn/parallel.h"

#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <cstdlib>
#include <cstring>

#include "nn/group_private.h"

using at::Tensor;
using vsl::Failure;
using vsl::guarded;

struct NnGroup {
    NnRuntime *rt = nullptr;
    vsl::Meeting meeting;
    vsl::Collectives collectives;
};

static c10::intrusive_ptr<c10d::Store> store_named(const NnGroupOptions *o, std::chrono::milliseconds timeout)
{
    if (strncmp(o->store, "file:", 5) == 0 && o->store[5]) {
        auto store = c10::make_intrusive<c10d::FileStore>(o->store + 5, o->size);
        store->setTimeout(timeout);
        return store;
    }
    const char *host = strncmp(o->store, "tcp:", 4) == 0 ? o->store + 4 : "";
    const char *colon = strrchr(host, ':');
    char *end = nullptr;
    const long port = colon ? strtol(colon + 1, &end, 10) : 0;
    if (!colon || colon == host || end == colon + 1 || *end || port < 1 || port > 65535) {
        throw Failure(VSL_E_ARG, "the store '%s' is neither file:PATH nor tcp:HOST:PORT", o->store);
    }
    c10d::TCPStoreOptions options;
    options.port = (std::uint16_t)port;
    options.isServer = o->rank == 0;
    options.numWorkers = (std::size_t)o->size;
    options.timeout = timeout;
    return c10::make_intrusive<c10d::TCPStore>(std::string(host, (size_t)(colon - host)), options);
}

/* What the transport throws says nothing about who. */
template <class F> static void among_ranks(const vsl::Meeting &m, F body)
{
    char text[512];
    try {
        body();
        return;
    } catch (const Failure &) {
        throw;
    } catch (...) {
        vsl::caught(text, sizeof text);
    }
    throw Failure(VSL_E_EXTERNAL, "rank %d of %d lost the others: %s", m.rank, m.size, text);
}

extern "C" VslStatus nn_group_open(NnGroup **out, NnRuntime *rt, const NnGroupOptions *opt)
{
    NnGroup *g = nullptr;
    const VslStatus st = guarded("nn_group_open", [&] {
        if (opt->size < 1 || opt->rank < 0 || opt->rank >= opt->size || !opt->store) {
            throw Failure(VSL_E_ARG, "rank %d of %d at '%s', expected 0 <= rank < size and a store", opt->rank,
                          opt->size, opt->store ? opt->store : "");
        }
        g = new NnGroup;
        g->rt = rt;
        vsl::Meeting &m = g->meeting;
        m.rank = opt->rank;
        m.size = opt->size;
        m.timeout = std::chrono::milliseconds((int64_t)(1000 * (opt->timeout_s > 0 ? opt->timeout_s : 600)));
        m.interface = opt->interface ? opt->interface : "";
        among_ranks(m, [&] {
            m.store = store_named(opt, m.timeout);
            g->collectives = rt->device.is_cuda() ? vsl::nccl(m, rt->device) : vsl::gloo(m);
        });
    });
    if (st != VSL_OK) {
        delete g;
        return st;
    }
    *out = g;
    return VSL_OK;
}

extern "C" void nn_group_close(NnGroup **g)
{
    if (g) {
        delete *g;
        *g = nullptr;
    }
}

extern "C" int nn_group_rank(const NnGroup *g)
{
    return g->meeting.rank;
}

extern "C" int nn_group_size(const NnGroup *g)
{
    return g->meeting.size;
}

/* Runs body on a flat tensor of count + 1 numbers whose last one counts the ranks that failed, this one included; what
 * to do with the sums is told by `use`, on success of all. */
template <class Fill, class Use>
static void together(NnScope *s, NnGroup *g, const char *op, int64_t count, at::ScalarType type, Fill fill, Use use)
{
    try {
        c10::AutoGradMode mode(false);
        Tensor flat = at::zeros({count + 1}, at::TensorOptions().dtype(type).device(g->rt->device));
        if (s->status == VSL_OK) {
            fill(flat);
        } else {
            flat[count].fill_(1);
        }
        among_ranks(g->meeting, [&] { g->collectives.sum(flat); });
        const double failed = flat[count].item<double>();
        if (failed > 0) {
            throw Failure(VSL_E_EXTERNAL, "%.0f of %d ranks failed in this step", failed, g->meeting.size);
        }
        use(flat);
    } catch (...) {
        s->fail_caught(op, {});
    }
}

extern "C" void nn_group_share(NnScope *s, NnGroup *g, NnParams *p, int root)
{
    together(
        s, g, "nn_group_share", 0, g->rt->type, [](Tensor &) {},
        [&](const Tensor &) {
            for (Tensor &t : vsl::tensors_of(p)) {
                Tensor values = t.detach();
                among_ranks(g->meeting, [&] { g->collectives.share(values, root); });
            }
        });
}

extern "C" void nn_group_mean_gradients(NnScope *s, NnGroup *g, NnParams *p)
{
    std::vector<Tensor> all = vsl::tensors_of(p);
    int64_t count = 0;
    for (const Tensor &t : all) {
        count += t.numel();
    }
    together(
        s, g, "nn_group_mean_gradients", count, g->rt->type,
        [&](Tensor &flat) {
            int64_t at = 0;
            for (const Tensor &t : all) {
                if (t.grad().defined()) {
                    flat.narrow(0, at, t.numel()).copy_(t.grad().reshape({-1}));
                }
                at += t.numel();
            }
        },
        [&](Tensor &flat) {
            int64_t at = 0;
            flat.div_(g->meeting.size);
            for (Tensor &t : all) {
                if (t.requires_grad()) {
                    t.mutable_grad() = flat.narrow(0, at, t.numel()).view(t.sizes());
                }
                at += t.numel();
            }
        });
}

extern "C" void nn_group_sum(NnScope *s, NnGroup *g, double *values, int count)
{
    together(
        s, g, "nn_group_sum", count, at::kDouble,
        [&](Tensor &flat) {
            flat.narrow(0, 0, count).copy_(at::from_blob(values, {count}, at::TensorOptions().dtype(at::kDouble)));
        },
        [&](const Tensor &flat) {
            const Tensor host = flat.to(at::kCPU);
            memcpy(values, host.data_ptr(), (size_t)count * sizeof *values);
        });
}
