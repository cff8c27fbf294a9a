/* Gradients: backward, the gradient at one leaf, custom operations whose forward and backward are C functions, and
 * activation checkpointing. */
#include "nn/torch_node_private.h"
#include "nn/torch_private.h"

#include <torch/csrc/autograd/variable.h>

#include <memory>
#include <utility>
#include <vector>

using at::Tensor;
using torch::autograd::variable_list;
using vsl::check_args;
using vsl::effect;
using vsl::Failure;
using vsl::run;

extern "C" void nn_backward(NnScope *s, NnTensor *loss)
{
    effect(s, "nn_backward", {loss}, [&] {
        if (!loss->t.requires_grad()) {
            throw Failure(VSL_E_ARG, "the loss depends on nothing that wants a gradient");
        }
        torch::autograd::backward({loss->t}, {});
    });
}

extern "C" NnTensor *nn_require_grad(NnScope *s, NnTensor *leaf)
{
    effect(s, "nn_require_grad", {leaf}, [&] { leaf->t.requires_grad_(true); });
    return s->status == VSL_OK ? leaf : &s->poison;
}

namespace
{

/* Nodes of the graph ask the runtime whether parameters' gradients may be touched. */
struct LeafOnly {
    explicit LeafOnly(NnRuntime *r) : rt(r), before(r->leaf_only)
    {
        rt->leaf_only = true;
    }
    ~LeafOnly()
    {
        rt->leaf_only = before;
    }
    NnRuntime *rt;
    bool before;
};

} // namespace

extern "C" NnTensor *nn_grad(NnScope *s, NnTensor *loss, NnTensor *leaf)
{
    return run(s, "nn_grad", {loss, leaf}, [&] {
        const LeafOnly only(s->rt);
        c10::AutoGradMode mode(false);
        if (!loss->t.requires_grad()) {
            throw Failure(VSL_E_ARG, "the loss depends on nothing that wants a gradient");
        }
        const Tensor g = torch::autograd::grad({loss->t}, {leaf->t}, {}, /* retain_graph */ true,
                                               /* create_graph */ false, /* allow_unused */ true)[0];
        return g.defined() ? g : at::zeros_like(leaf->t);
    });
}

extern "C" void nn_grad_begin(NnScope *s)
{
    s->recording++;
}

extern "C" void nn_grad_end(NnScope *s)
{
    s->recording -= s->recording > 0;
}

/* --- custom operations ------------------------------------------------------------------------------------------ */

namespace
{

Tensor on_host(const Tensor &t, at::ScalarType type)
{
    return t.detach().to(at::kCPU, type).contiguous();
}

NnBuffer buffer(const Tensor &t)
{
    return {vsl::shape_of(t), t.defined() ? t.data_ptr() : nullptr};
}

void check_call(VslStatus st, const char *name, const char *which)
{
    if (st != VSL_OK) {
        throw Failure(st, "%s of '%s': %s", which, name, vsl_error());
    }
}

std::vector<NnBuffer> buffers(const std::vector<Tensor> &list)
{
    std::vector<NnBuffer> out;
    for (const Tensor &t : list) {
        out.push_back(buffer(t));
    }
    return out;
}

struct CustomNode : public torch::autograd::Node {
    NnCustom op;
    std::vector<Tensor> in; /* on the host, detached */
    Tensor out;
    at::Device device = at::kCPU;

    std::string name() const override
    {
        return op.name;
    }
    void release_variables() override
    {
        in.clear();
        out.reset();
    }

    variable_list apply(variable_list &&grads) override
    {
        variable_list result(in.size());
        if (!out.defined()) {
            throw Failure(VSL_E_ARG, "'%s': its gradient was taken twice", op.name);
        }
        if (!grads[0].defined()) {
            return result;
        }
        std::vector<Tensor> grad_in(in.size());
        for (size_t i = 0; i < in.size(); i++) {
            if (task_should_compute_output(i)) {
                grad_in[i] = at::zeros_like(in[i]);
            }
        }
        const std::vector<NnBuffer> g = buffers(grad_in), x = buffers(in);
        const Tensor grad_out = on_host(grads[0], out.scalar_type());
        check_call(op.backward(g.data(), buffer(grad_out), buffer(out), (int)in.size(), x.data(), op.user), op.name,
                   "backward");
        for (size_t i = 0; i < in.size(); i++) {
            result[i] = grad_in[i].defined() ? grad_in[i].to(device) : Tensor();
        }
        return result;
    }
};

} // namespace

extern "C" NnTensor *nn_custom(NnScope *s, const NnCustom *op, int inputs, NnTensor *const *in)
{
    return run(s, op->name, {}, [&] {
        std::vector<Tensor> host;
        std::vector<NnShape> shapes;
        variable_list edges;
        bool is_wanted = false;
        for (int i = 0; i < inputs; i++) {
            check_args({in[i]});
            host.push_back(on_host(in[i]->t, s->rt->type));
            shapes.push_back(vsl::shape_of(in[i]->t));
            edges.push_back(in[i]->t);
            is_wanted = is_wanted || in[i]->t.requires_grad();
        }
        NnShape shape = {0, {0}};
        check_call(op->shape(&shape, inputs, shapes.data(), op->user), op->name, "shape");
        Tensor out = at::zeros(vsl::extents(shape), at::TensorOptions().dtype(s->rt->type));
        const std::vector<NnBuffer> x = buffers(host);
        check_call(op->forward(buffer(out), inputs, x.data(), op->user), op->name, "forward");
        Tensor result = s->rt->device.is_cpu() ? out.detach() : out.to(s->rt->device);
        if (is_wanted && c10::GradMode::is_enabled()) {
            if (!op->backward) {
                throw Failure(VSL_E_UNSUPPORTED, "'%s' has no backward, but a gradient through it is wanted", op->name);
            }
            auto node = vsl::new_node<CustomNode>();
            node->op = *op;
            node->in = std::move(host);
            node->out = out;
            node->device = s->rt->device;
            node->set_next_edges(torch::autograd::collect_next_edges(edges));
            torch::autograd::set_history(result, node);
        }
        return result;
    });
}

/* --- checkpointing ---------------------------------------------------------------------------------------------- */

namespace
{

/* Runs body on inputs in a scope of its own, whose failure becomes an exception. */
Tensor body_of(NnScope &inner, NnBody *body, void *user, const std::vector<Tensor> &inputs)
{
    inner.poison.is_poison = true;
    std::vector<NnTensor *> in;
    for (const Tensor &t : inputs) {
        in.push_back(inner.own(Tensor(t)));
    }
    NnTensor *y = body(&inner, in.data(), user);
    if (inner.status != VSL_OK) {
        throw Failure(inner.status, "%.200s: %s", inner.where, inner.sentence);
    }
    check_args({y});
    return y->t;
}

struct CheckpointNode : public torch::autograd::Node {
    NnRuntime *rt = nullptr;
    bool is_training = false;
    NnBody *body = nullptr;
    void *user = nullptr;
    std::vector<char> copy; /* of what user points to, if it was to be copied */
    std::vector<Tensor> in; /* detached */

    std::string name() const override
    {
        return "nn_checkpoint";
    }
    void release_variables() override
    {
        in.clear();
    }

    variable_list apply(variable_list &&grads) override
    {
        variable_list result(num_outputs());
        if (in.empty()) {
            throw Failure(VSL_E_ARG, "nn_checkpoint: its gradient was taken twice");
        }
        if (!grads[0].defined()) {
            return result;
        }
        c10::AutoGradMode mode(true);
        std::vector<Tensor> leaves;
        variable_list wanted;
        for (size_t i = 0; i < in.size(); i++) {
            leaves.push_back(in[i].detach());
            if (task_should_compute_output(i)) {
                wanted.push_back(leaves[i].requires_grad_(true));
            }
        }
        if (rt->leaf_only && wanted.empty()) {
            return result;
        }
        NnScope inner;
        inner.rt = rt;
        inner.is_training = is_training;
        inner.recording = 1;
        const Tensor y = body_of(inner, body, copy.empty() ? user : copy.data(), leaves);
        if (!y.requires_grad()) {
            return result;
        }
        variable_list found;
        if (rt->leaf_only) {
            found = torch::autograd::grad({y}, wanted, {grads[0]}, c10::nullopt, false, true);
        } else {
            torch::autograd::backward({y}, {grads[0]});
            for (const Tensor &leaf : wanted) {
                found.push_back(leaf.grad());
            }
        }
        for (size_t i = 0, next = 0; i < in.size(); i++) {
            if (task_should_compute_output(i)) {
                result[i] = found[next++];
            }
        }
        return result;
    }
};

} // namespace

extern "C" NnTensor *nn_checkpoint(NnScope *s, NnBody *body, int inputs, NnTensor *const *in, void *user,
                                   size_t user_bytes)
{
    return run(s, "nn_checkpoint", {}, [&] {
        const bool records = c10::GradMode::is_enabled();
        std::vector<Tensor> given;
        for (int i = 0; i < inputs; i++) {
            check_args({in[i]});
            given.push_back(in[i]->t);
        }
        NnScope inner;
        inner.inherit(*s);
        inner.is_muted = true;
        Tensor y = body_of(inner, body, user, given);
        if (records) {
            auto node = vsl::new_node<CheckpointNode>();
            node->rt = s->rt;
            node->is_training = s->is_training;
            node->body = body;
            node->user = user;
            node->copy.assign((const char *)user, (const char *)user + user_bytes);
            for (const Tensor &t : given) {
                node->in.push_back(t.detach());
            }
            node->set_next_edges(torch::autograd::collect_next_edges(given));
            y = y.detach();
            torch::autograd::set_history(y, node);
        }
        return y;
    });
}
