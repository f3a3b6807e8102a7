# An application on EC2 behind an Application Load Balancer, in an Auto Scaling group, with allswell beside it on each machine.
# Copy main.tf and user-data.sh, set the variables that have no default, `terraform init`, `terraform apply`.
# The target group asks allswell on port 8080; users' requests go to the application's own port.

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40"
    }
  }
}

variable "name" {
  description = "What the application is called; at most 24 characters, for a target group's name may have 32."
  type        = string
  default     = "orders"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,23}$", var.name))
    error_message = "Lower-case letters, digits and dashes, at most 24."
  }
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "balancer_subnets" {
  description = "Public subnets, in two availability zones at least: a load balancer takes no fewer."
  type        = list(string)
}

variable "machine_subnets" {
  description = "Subnets of the machines."
  type        = list(string)
}

variable "certificate_arn" {
  description = "The certificate of the application's name, in ACM."
  type        = string
}

variable "ami_id" {
  description = "An image of Amazon Linux 2023 or another Linux with systemd, on which the application starts by itself."
  type        = string
}

variable "instance_type" {
  description = "allswell needs some 20 MB of memory; the rest is for the application."
  type        = string
  default     = "t3.small"
}

variable "app_port" {
  description = "Where the application listens."
  type        = number
  default     = 8000
}

variable "app_host" {
  description = "A host name that the application answers to, as www.example.com."
  type        = string
}

variable "app_environment" {
  description = "The file on the image with the application's variables, NAME=value: DATABASE_URL with sslmode=verify-full, REDIS_URL with rediss."
  type        = string
  default     = "/etc/environment"
}

variable "allswell_tarball" {
  description = "URL of allswell-VERSION-x86_64-unknown-linux-musl.tar.gz: of a release, or better of your own bucket."
  type        = string
}

variable "allswell_sha256" {
  description = "Its line in the release's SHA256SUMS; another file is not installed."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.allswell_sha256))
    error_message = "64 hexadecimal digits."
  }
}

variable "size" {
  description = "How many machines there are: the least, the most."
  type        = object({ min = number, max = number })
  # Two, so that one may go.
  default = { min = 2, max = 4 }
}

variable "replace_unhealthy" {
  description = "Whether a machine is terminated that the load balancer holds unhealthy; else it only gets no traffic."
  type        = bool
  # A database that all machines share fails on all of them: a new machine mends nothing, and all would go. Set this only when
  # what is critical in user-data.sh is the machine's own: the application, not the database.
  default = false
}

resource "aws_security_group" "balancer" {
  name_prefix = "${var.name}-balancer-"
  description = "Users to the load balancer."
  vpc_id      = var.vpc_id

  ingress {
    description = "HTTP, to be redirected"
    from_port   = 80
    to_port     = 80
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }

  ingress {
    description = "HTTPS"
    from_port   = 443
    to_port     = 443
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }

  egress {
    description = "To the machines"
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "machine" {
  name_prefix = "${var.name}-machine-"
  description = "The load balancer to the machines."
  vpc_id      = var.vpc_id

  ingress {
    description     = "Requests"
    from_port       = var.app_port
    to_port         = var.app_port
    protocol        = "tcp"
    security_groups = [aws_security_group.balancer.id]
  }

  # Nobody but the load balancer reads the report.
  ingress {
    description     = "Health checks"
    from_port       = 8080
    to_port         = 8080
    protocol        = "tcp"
    security_groups = [aws_security_group.balancer.id]
  }

  egress {
    description = "Databases, caches, and the release of allswell"
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_lb" "app" {
  name               = var.name
  load_balancer_type = "application"
  security_groups    = [aws_security_group.balancer.id]
  subnets            = var.balancer_subnets
}

resource "aws_lb_target_group" "app" {
  name        = var.name
  vpc_id      = var.vpc_id
  target_type = "instance"
  protocol    = "HTTP"
  port        = var.app_port
  # Above server.drain (25 s): who deregisters a machine leaves it that time for the requests in progress. The default is 300 s, which
  # makes every deployment wait for requests that nobody has.
  deregistration_delay = 30

  health_check {
    protocol = "HTTP"
    port     = "8080"
    path     = "/health"
    # allswell answers 200 or 500. A list such as 200-399 would take a redirect for a good answer.
    matcher = "200"
    # The least is 5 s, the default 30 s. Each zone's node polls by itself: 3 nodes make a poll every 3 s, which costs allswell nothing.
    interval = 10
    # Below the interval. allswell answers within 0.8 s; the rest is for a machine that is busy, which is no reason to take it out.
    timeout = 5
    # Out after 20 s: one bad poll is none. Each takes two failed probes (fall = 2) before it.
    unhealthy_threshold = 2
    # Back after 30 s: to go out fast and come back slowly does not flap. A new machine needs one good poll only.
    healthy_threshold = 3
  }
}

# Whoever comes by HTTP is sent to HTTPS here. Health checks do not pass a listener, so nothing has to be spared.
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.app.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "redirect"

    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.app.arn
  port              = 443
  protocol          = "HTTPS"
  # TLS 1.2 and 1.3.
  ssl_policy      = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn = var.certificate_arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app.arn
  }
}

resource "aws_launch_template" "app" {
  name_prefix            = "${var.name}-"
  image_id               = var.ami_id
  instance_type          = var.instance_type
  vpc_security_group_ids = [aws_security_group.machine.id]
  update_default_version = true

  user_data = base64encode(join("\n", [
    "#!/bin/bash",
    "ALLSWELL_TARBALL='${var.allswell_tarball}'",
    "ALLSWELL_SHA256='${var.allswell_sha256}'",
    "APP_ENVIRONMENT='${var.app_environment}'",
    "APP_NAME='${var.name}'",
    "APP_URL='http://127.0.0.1:${var.app_port}/'",
    "APP_HOST='${var.app_host}'",
    file("${path.module}/user-data.sh"),
  ]))

  metadata_options {
    # Tokens are asked for, so that no request that the application is made to send reads the machine's credentials.
    http_tokens = "required"
  }
}

resource "aws_autoscaling_group" "app" {
  name_prefix         = "${var.name}-"
  min_size            = var.size.min
  max_size            = var.size.max
  vpc_zone_identifier = var.machine_subnets
  target_group_arns   = [aws_lb_target_group.app.arn]
  health_check_type   = var.replace_unhealthy ? "ELB" : "EC2"
  # Counts only for ELB: what a machine may take from its start to its first good answer. The console's default; by the API it is 0,
  # and a machine would be terminated while it boots.
  health_check_grace_period = 300

  launch_template {
    id      = aws_launch_template.app.id
    version = aws_launch_template.app.latest_version
  }

  instance_refresh {
    strategy = "Rolling"

    preferences {
      # A new machine is there before an old one goes.
      min_healthy_percentage = 100
      max_healthy_percentage = 150
    }
  }

  tag {
    key                 = "Name"
    value               = var.name
    propagate_at_launch = true
  }
}

output "balancer" {
  description = "Where the application's name has to point."
  value       = aws_lb.app.dns_name
}

output "target_group_arn" {
  description = "For `aws elbv2 describe-target-health` and `allswell doctor --alb-json`."
  value       = aws_lb_target_group.app.arn
}
